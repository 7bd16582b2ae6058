-- Where a sweep stands, and whether any of its jobs is not over.
-- Caller: control. Index: primary keys.
SELECT
    sweeps.state AS state,
    sweeps.priority AS priority,
    CASE WHEN EXISTS (
        SELECT 1
        FROM sweep_jobs
        JOIN job_states ON job_states.job_id = sweep_jobs.job_id
        WHERE sweep_jobs.sweep_id = sweeps.id AND job_states.state IN ('blocked', 'queued', 'leased')
    ) THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END AS is_open
FROM sweeps
WHERE sweeps.id = $1;
