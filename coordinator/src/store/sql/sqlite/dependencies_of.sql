-- What the jobs of the JSON array $1 wait for, as far as it has no result yet.
-- Caller: dependencies. Index: primary key.
SELECT job_dependencies.job_id AS job_id, job_dependencies.waits_for_id AS waits_for_id
FROM json_each($1) AS wanted
JOIN job_dependencies ON job_dependencies.job_id = wanted.value
JOIN job_states ON job_states.job_id = job_dependencies.waits_for_id
WHERE job_states.state <> 'succeeded';
