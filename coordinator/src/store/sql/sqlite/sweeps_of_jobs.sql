-- The sweeps that have the jobs of the JSON array $1.
-- Caller: batch. Index: sweep_jobs_job.
SELECT sweep_jobs.job_id AS job_id, sweep_jobs.sweep_id AS sweep_id
FROM json_each($1) AS wanted
JOIN sweep_jobs ON sweep_jobs.job_id = wanted.value
ORDER BY sweep_jobs.sweep_id, sweep_jobs.job_id;
