-- Jobs of sweep $1 that wait for others.
-- Caller: submit. Index: primary keys.
SELECT DISTINCT sweep_jobs.job_id AS job_id
FROM sweep_jobs
JOIN job_dependencies ON job_dependencies.job_id = sweep_jobs.job_id
WHERE sweep_jobs.sweep_id = $1
ORDER BY sweep_jobs.job_id;
