-- Ends the jobs of the JSON array $1 (job_id, error) that no worker has, in state $2 at $3. Not for their own failures, of which they have none any
-- more: a retry tells them by that.
-- Caller: dependencies, cancel. Index: primary key.
UPDATE job_states SET state = $2, n_failures = 0, not_before_us = 0, finished_us = $3, error = wanted.error
FROM jsonb_to_recordset($1::jsonb) AS wanted (job_id bigint, error text)
WHERE job_states.job_id = wanted.job_id AND job_states.state IN ('blocked', 'queued');
