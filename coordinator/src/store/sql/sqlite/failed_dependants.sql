-- Jobs that failed for no other reason than that one of the JSON array $1, for which they wait, did.
-- Caller: control. Index: job_dependencies_waits_for.
SELECT DISTINCT job_states.job_id AS job_id, jobs.key AS key, job_states.attempt AS attempt, job_states.state AS state
FROM json_each($1) AS wanted
JOIN job_dependencies ON job_dependencies.waits_for_id = wanted.value
JOIN job_states ON job_states.job_id = job_dependencies.job_id
JOIN jobs ON jobs.id = job_states.job_id
WHERE job_states.state = 'failed' AND job_states.n_failures = 0
ORDER BY job_states.job_id;
