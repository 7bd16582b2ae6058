-- Jobs that failed for no other reason than that one of the JSON array $1, for which they wait, did.
-- Caller: control. Index: job_dependencies_waits_for.
SELECT job_states.job_id AS job_id, jobs.key AS key, job_states.attempt AS attempt, job_states.state AS state
FROM job_states
JOIN jobs ON jobs.id = job_states.job_id
WHERE job_states.state = 'failed' AND job_states.n_failures = 0 AND job_states.job_id IN (
    SELECT job_dependencies.job_id
    FROM jsonb_array_elements_text($1::jsonb) AS wanted (value)
    JOIN job_dependencies ON job_dependencies.waits_for_id = wanted.value::bigint
)
ORDER BY job_states.job_id
FOR NO KEY UPDATE OF job_states;
