-- Lets each unfinished job of sweep $1 be handed out for the sake of the active sweep of the highest priority that has it.
-- Caller: submit, control. Index: primary keys, sweep_jobs_job.
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
WHERE state IN ('blocked', 'queued', 'leased')
    AND job_id IN (SELECT sweep_jobs.job_id FROM sweep_jobs WHERE sweep_jobs.sweep_id = $1);
