-- The jobs of sweep $1.
-- Caller: removal. Index: primary key of sweep_jobs.
SELECT sweep_jobs.job_id AS job_id
FROM sweep_jobs
WHERE sweep_jobs.sweep_id = $1
ORDER BY sweep_jobs.job_id;
