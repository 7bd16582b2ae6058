-- The sweeps that have the jobs of the JSON array $1. Until the end of the transaction nobody else advances their frontiers or counts their
-- failures.
-- Caller: batch. Index: sweep_jobs_job.
SELECT sweep_jobs.job_id AS job_id, sweep_jobs.sweep_id AS sweep_id
FROM jsonb_array_elements_text($1::jsonb) AS wanted (value)
JOIN sweep_jobs ON sweep_jobs.job_id = wanted.value::bigint
JOIN sweeps ON sweeps.id = sweep_jobs.sweep_id
ORDER BY sweep_jobs.sweep_id, sweep_jobs.job_id
FOR NO KEY UPDATE OF sweeps;
