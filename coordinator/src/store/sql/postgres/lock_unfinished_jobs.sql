-- Keeps the unfinished jobs of sweep $1 until the end of the transaction. Statements after this one see what was decided of their other sweeps
-- by transactions that had the jobs before.
-- Caller: control. Index: primary keys.
SELECT job_states.job_id AS job_id
FROM sweep_jobs
JOIN job_states ON job_states.job_id = sweep_jobs.job_id
WHERE sweep_jobs.sweep_id = $1 AND job_states.state IN ('blocked', 'queued', 'leased')
ORDER BY job_states.job_id
FOR NO KEY UPDATE OF job_states;
