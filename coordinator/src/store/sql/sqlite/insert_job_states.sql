-- Queues the jobs of the JSON array $1 (key, placement, turn) that have no state yet: for the sake of sweep $2 with priority $3. Jobs that wait already need from now on what this sweep says.
-- Caller: submit. Index: unique jobs.key.
INSERT INTO job_states (
    job_id, state, attempt, n_failures, forgiven_attempt, not_before_us, sponsor_id, placement_id, priority, own_priority, turn, error
)
SELECT
    jobs.id, 'queued', 0, 0, 0, 0, $2, json_extract(wanted.value, '$.placement'), $3, 0, json_extract(wanted.value, '$.turn'), ''
FROM json_each($1) AS wanted
JOIN jobs ON jobs.key = json_extract(wanted.value, '$.key')
WHERE true
ON CONFLICT (job_id) DO UPDATE SET placement_id = excluded.placement_id
WHERE job_states.state IN ('blocked', 'queued');
