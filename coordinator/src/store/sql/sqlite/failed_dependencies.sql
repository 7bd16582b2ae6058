-- Of the blocked jobs of the JSON array $1, those that wait for a job which ended without a result, with one such job each.
-- Caller: dependencies. Index: primary keys.
SELECT job_states.job_id AS job_id, job_states.attempt AS attempt, min(awaited_jobs.key) AS awaited_key, min(awaited.state) AS awaited_state
FROM json_each($1) AS wanted
JOIN job_states ON job_states.job_id = wanted.value
JOIN job_dependencies ON job_dependencies.job_id = job_states.job_id
JOIN job_states AS awaited ON awaited.job_id = job_dependencies.waits_for_id
JOIN jobs AS awaited_jobs ON awaited_jobs.id = awaited.job_id
WHERE job_states.state = 'blocked' AND awaited.state IN ('failed', 'diverged', 'quarantined', 'cancelled')
GROUP BY job_states.job_id, job_states.attempt
ORDER BY job_states.job_id;
