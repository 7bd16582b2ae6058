-- Renews the leases of the JSON array $1 (key, attempt, session) until $2. A row that is missing is not held by its session.
-- Caller: batch. Index: unique jobs.key, primary key of job_states.
UPDATE job_states SET lease_until_us = $2
FROM json_each($1) AS wanted
JOIN jobs ON jobs.key = json_extract(wanted.value, '$.key')
WHERE job_states.job_id = jobs.id AND job_states.state = 'leased'
    AND job_states.attempt = json_extract(wanted.value, '$.attempt')
    AND job_states.session_id = json_extract(wanted.value, '$.session')
RETURNING job_id, attempt, session_id, (SELECT jobs.key FROM jobs WHERE jobs.id = job_states.job_id) AS key;
