-- Queues the jobs of the JSON array of keys $1 that have no state yet.
-- Caller: submit. Index: unique jobs.key.
INSERT INTO job_states (job_id, state, attempt, n_failures, not_before_us, error)
SELECT jobs.id, 'queued', 0, 0, $2, ''
FROM json_each($1) AS wanted
JOIN jobs ON jobs.key = wanted.value
WHERE true
ON CONFLICT (job_id) DO NOTHING;
