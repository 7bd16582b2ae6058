-- Takes the leases of the jobs of the JSON array $1 (job_id, error) away, for good, at $2.
-- Caller: control. Index: primary key.
UPDATE job_states SET state = 'cancelled', session_id = NULL, lease_until_us = NULL, finished_us = $2, error = json_extract(wanted.value, '$.error')
FROM json_each($1) AS wanted
WHERE job_states.job_id = json_extract(wanted.value, '$.job_id') AND job_states.state = 'leased';
