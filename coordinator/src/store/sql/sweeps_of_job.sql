-- The sweeps that have a job.
-- Caller: complete. Index: sweep_jobs_job.
SELECT sweep_id FROM sweep_jobs
WHERE job_id = $1
ORDER BY sweep_id;
