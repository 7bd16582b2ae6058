-- Jobs of sweep $1 that are in one of the states of the JSON array $2.
-- Caller: control. Index: primary keys.
SELECT job_states.job_id AS job_id, jobs.key AS key, job_states.attempt AS attempt, job_states.state AS state
FROM sweep_jobs
JOIN job_states ON job_states.job_id = sweep_jobs.job_id
JOIN jobs ON jobs.id = sweep_jobs.job_id
WHERE sweep_jobs.sweep_id = $1 AND job_states.state IN (SELECT wanted.value FROM jsonb_array_elements_text($2::jsonb) AS wanted (value))
ORDER BY sweep_jobs.position
FOR NO KEY UPDATE OF job_states;
