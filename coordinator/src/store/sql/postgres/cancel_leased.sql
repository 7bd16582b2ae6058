-- Takes the leases of the jobs of the JSON array $1 (job_id, error) away, for good, at $2.
-- Caller: control. Index: primary key.
UPDATE job_states SET state = 'cancelled', session_id = NULL, lease_until_us = NULL, finished_us = $2, error = wanted.error
FROM jsonb_to_recordset($1::jsonb) AS wanted (job_id bigint, error text)
WHERE job_states.job_id = wanted.job_id AND job_states.state = 'leased';
