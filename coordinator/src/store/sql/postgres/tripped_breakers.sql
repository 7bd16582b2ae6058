-- Of the sweeps in the JSON array $1, the active ones whose circuit breaker trips, with the number of jobs that failed.
-- Caller: breaker. Index: primary keys.
SELECT failures.sweep_id AS sweep_id, failures.n_failed AS n_failed, failures.max_failed_jobs AS max_failed_jobs
FROM (
    SELECT sweeps.id AS sweep_id, sweeps.max_failed_jobs AS max_failed_jobs,
        count(CASE WHEN job_states.state IN ('failed', 'quarantined') AND job_states.n_failures > 0 THEN 1 END)
            - sweeps.n_forgiven AS n_failed
    FROM jsonb_array_elements_text($1::jsonb) AS wanted (value)
    JOIN sweeps ON sweeps.id = wanted.value::bigint
    JOIN sweep_jobs ON sweep_jobs.sweep_id = sweeps.id
    JOIN job_states ON job_states.job_id = sweep_jobs.job_id
    WHERE sweeps.state = 'active' AND sweeps.max_failed_jobs IS NOT NULL
    GROUP BY sweeps.id, sweeps.max_failed_jobs, sweeps.n_forgiven
) AS failures
WHERE failures.n_failed > failures.max_failed_jobs;
