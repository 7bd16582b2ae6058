-- Leases the oldest claimable jobs, at most $4, to session $1 until $2; of sweep $6, or of any where that is NULL.
-- Caller: claim. Index: job_states_queued, unique (sweep_id, job_id).
UPDATE job_states
SET state = $5, attempt = attempt + 1, session_id = $1, lease_until_us = $2
WHERE state = 'queued' AND job_id IN (
    SELECT job_id FROM job_states
    WHERE state = 'queued' AND not_before_us <= $3
        AND ($6 IS NULL OR EXISTS (SELECT 1 FROM sweep_jobs WHERE sweep_jobs.sweep_id = $6 AND sweep_jobs.job_id = job_states.job_id))
    ORDER BY job_id
    LIMIT $4
)
RETURNING
    job_id,
    attempt,
    (SELECT jobs.key FROM jobs WHERE jobs.id = job_states.job_id) AS key,
    (SELECT jobs.config FROM jobs WHERE jobs.id = job_states.job_id) AS config;
