-- Ends the jobs of the JSON array $1 (job_id, error) that no worker has, in state $2 at $3. Those that fail do so for no failure of their own, and
-- have none any more: a retry of what they wait for tells them by that.
-- Caller: dependencies, cancel. Index: primary key.
UPDATE job_states SET state = $2, n_failures = CASE WHEN $2 = 'failed' THEN 0 ELSE n_failures END, not_before_us = 0, finished_us = $3, error = json_extract(wanted.value, '$.error')
FROM json_each($1) AS wanted
WHERE job_states.job_id = json_extract(wanted.value, '$.job_id') AND job_states.state IN ('blocked', 'queued');
