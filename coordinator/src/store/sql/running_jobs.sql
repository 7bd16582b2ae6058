-- Sweep $1's leased jobs with their workers, in the sweep's order.
-- Caller: sweep_activity. Index: primary keys.
SELECT
    jobs.key AS key,
    job_states.attempt AS attempt,
    sessions.worker AS worker,
    jobs.backbone AS backbone,
    jobs.dataset AS dataset,
    jobs.pattern AS pattern,
    jobs.seed AS seed
FROM sweep_jobs
JOIN job_states ON job_states.job_id = sweep_jobs.job_id
JOIN jobs ON jobs.id = sweep_jobs.job_id
JOIN sessions ON sessions.id = job_states.session_id
WHERE sweep_jobs.sweep_id = $1 AND job_states.state = 'leased'
ORDER BY sweep_jobs.position;
