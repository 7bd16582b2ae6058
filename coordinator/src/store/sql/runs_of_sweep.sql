-- Sweep $1's jobs in its order, at most $2, each with what it came to.
-- Caller: compare. Index: primary keys of sweep_jobs, jobs, job_states and results.
SELECT jobs.key AS job_key, jobs.cell AS cell, jobs.seed AS seed, job_states.state AS state, results.area AS area,
    results.final_accuracy AS final_accuracy, results.best_accuracy AS best_accuracy
FROM sweep_jobs
JOIN jobs ON jobs.id = sweep_jobs.job_id
JOIN job_states ON job_states.job_id = sweep_jobs.job_id
LEFT JOIN results ON results.job_id = sweep_jobs.job_id
WHERE sweep_jobs.sweep_id = $1
ORDER BY sweep_jobs.position
LIMIT $2;
