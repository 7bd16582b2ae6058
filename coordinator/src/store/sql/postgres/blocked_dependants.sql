-- The blocked jobs that wait for one of the JSON array $1. They are locked, so that of two transactions that each end one of a job's last two
-- dependencies the later one sees what the other did.
-- Caller: dependencies. Index: job_dependencies_waits_for.
SELECT job_states.job_id AS job_id
FROM job_states
WHERE job_states.state = 'blocked' AND job_states.job_id IN (
    SELECT job_dependencies.job_id
    FROM jsonb_array_elements_text($1::jsonb) AS wanted (value)
    JOIN job_dependencies ON job_dependencies.waits_for_id = wanted.value::bigint
)
ORDER BY job_states.job_id
FOR NO KEY UPDATE;
