-- Lets job $1 wait for the sake of no sweep, with placement $2.
-- Caller: import. Index: primary key.
INSERT INTO job_states (
    job_id, state, attempt, n_failures, forgiven_attempt, not_before_us, sponsor_id, placement_id, priority, own_priority, turn, error
)
VALUES ($1, 'queued', 0, 0, 0, 0, NULL, $2, 0, 0, 0, '')
ON CONFLICT (job_id) DO NOTHING;
