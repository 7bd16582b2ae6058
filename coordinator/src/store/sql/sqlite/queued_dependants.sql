-- The queued jobs that waited for one of the JSON array $1, whose results are gone.
-- Caller: removal. Index: job_dependencies_waits_for.
SELECT DISTINCT job_states.job_id AS job_id
FROM json_each($1) AS wanted
JOIN job_dependencies ON job_dependencies.waits_for_id = wanted.value
JOIN job_states ON job_states.job_id = job_dependencies.job_id
WHERE job_states.state = 'queued'
ORDER BY job_states.job_id;
