-- The queued jobs that waited for one of the JSON array $1, whose results are gone.
-- Caller: removal. Index: job_dependencies_waits_for.
SELECT DISTINCT job_states.job_id AS job_id
FROM jsonb_array_elements_text($1::jsonb) AS wanted (value)
JOIN job_dependencies ON job_dependencies.waits_for_id = wanted.value::bigint
JOIN job_states ON job_states.job_id = job_dependencies.job_id
WHERE job_states.state = 'queued'
ORDER BY job_states.job_id;
