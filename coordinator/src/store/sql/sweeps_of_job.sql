-- The sweeps that have job $1, with their states.
-- Caller: explain. Index: sweep_jobs_job.
SELECT sweeps.id AS sweep, sweeps.name AS name, sweeps.state AS state, sweeps.note AS note
FROM sweep_jobs
JOIN sweeps ON sweeps.id = sweep_jobs.sweep_id
WHERE sweep_jobs.job_id = $1
ORDER BY sweeps.id;
