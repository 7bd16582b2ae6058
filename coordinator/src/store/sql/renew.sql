-- Renews a lease; no row means that this session does not hold it.
-- Caller: heartbeat. Index: unique jobs.key, primary key of job_states.
UPDATE job_states SET lease_until_us = $4
WHERE job_id = (SELECT id FROM jobs WHERE key = $1)
    AND attempt = $2 AND session_id = $3 AND state = 'leased'
RETURNING job_id;
