-- The first turn among sweep $1's jobs that wait, for each of what they need.
-- Caller: control. Index: primary keys.
SELECT job_states.placement_id AS placement_id, min(job_states.turn) AS turn
FROM sweep_jobs
JOIN job_states ON job_states.job_id = sweep_jobs.job_id
WHERE sweep_jobs.sweep_id = $1 AND job_states.state IN ('blocked', 'queued')
GROUP BY job_states.placement_id
ORDER BY job_states.placement_id;
