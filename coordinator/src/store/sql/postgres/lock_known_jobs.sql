-- Keeps the jobs of sweep $1 that are not over as they are until the end of the transaction: a result that comes meanwhile waits, and then finds
-- the new sweep, whose frontier it belongs to. What came before is seen by the statements after this one.
-- Caller: submit. Index: primary keys.
SELECT job_states.job_id AS job_id
FROM sweep_jobs
JOIN job_states ON job_states.job_id = sweep_jobs.job_id
WHERE sweep_jobs.sweep_id = $1 AND job_states.state <> 'succeeded'
ORDER BY job_states.job_id
FOR SHARE OF job_states;
