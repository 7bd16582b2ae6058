-- Lets each of the jobs of the JSON array $1 be handed out for the sake of the active sweep of the highest priority that has it.
-- Caller: control. Index: primary keys, sweep_jobs_job.
UPDATE job_states
SET
    sponsor_id = (
        SELECT sweeps.id
        FROM sweep_jobs
        JOIN sweeps ON sweeps.id = sweep_jobs.sweep_id
        WHERE sweep_jobs.job_id = job_states.job_id AND sweeps.state = 'active'
        ORDER BY sweeps.priority DESC, sweeps.id
        LIMIT 1
    ),
    priority = own_priority + coalesce((
        SELECT max(sweeps.priority)
        FROM sweep_jobs
        JOIN sweeps ON sweeps.id = sweep_jobs.sweep_id
        WHERE sweep_jobs.job_id = job_states.job_id AND sweeps.state = 'active'
    ), 0)
WHERE job_id IN (SELECT wanted.value FROM json_each($1) AS wanted);
