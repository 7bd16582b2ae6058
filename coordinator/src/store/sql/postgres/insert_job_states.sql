-- Queues the jobs of the JSON array $1 (key, placement, turn) that have no state yet: for the sake of sweep $2 with priority $3. Jobs that wait already need from now on what this sweep says.
-- Caller: submit. Index: unique jobs.key.
INSERT INTO job_states (
    job_id, state, attempt, n_failures, forgiven_attempt, not_before_us, sponsor_id, placement_id, priority, own_priority, turn, error
)
SELECT jobs.id, 'queued', 0, 0, 0, 0, $2, wanted.placement, $3, 0, wanted.turn, ''
FROM jsonb_to_recordset($1::jsonb) AS wanted (key text, placement bigint, turn bigint)
JOIN jobs ON jobs.key = wanted.key
ON CONFLICT (job_id) DO UPDATE SET placement_id = excluded.placement_id
WHERE job_states.state IN ('blocked', 'queued');
