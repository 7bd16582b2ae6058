-- Renews the leases of the JSON array $1 (key, attempt, session) until $2. A row that is missing is not held by its session.
-- Caller: batch. Index: unique jobs.key, primary key of job_states.
WITH held AS (
    SELECT job_states.job_id, jobs.key
    FROM jsonb_to_recordset($1::jsonb) AS wanted (key text, attempt bigint, session bigint)
    JOIN jobs ON jobs.key = wanted.key
    JOIN job_states ON job_states.job_id = jobs.id
    WHERE job_states.state = 'leased' AND job_states.attempt = wanted.attempt AND job_states.session_id = wanted.session
    ORDER BY job_states.job_id
    FOR NO KEY UPDATE OF job_states
)
UPDATE job_states SET lease_until_us = $2
FROM held
WHERE job_states.job_id = held.job_id
RETURNING job_states.job_id AS job_id, job_states.attempt AS attempt, job_states.session_id AS session_id, held.key AS key;
