-- The jobs of sweep $1 that no other sweep has.
-- Caller: removal. Index: primary keys, sweep_jobs_job.
SELECT job_states.job_id AS job_id, jobs.key AS key, job_states.attempt AS attempt, job_states.state AS state
FROM sweep_jobs
JOIN job_states ON job_states.job_id = sweep_jobs.job_id
JOIN jobs ON jobs.id = sweep_jobs.job_id
WHERE sweep_jobs.sweep_id = $1 AND NOT EXISTS (
    SELECT 1
    FROM sweep_jobs AS others
    WHERE others.job_id = sweep_jobs.job_id AND others.sweep_id <> $1
)
ORDER BY job_states.job_id;
