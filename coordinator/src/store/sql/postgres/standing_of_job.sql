-- Where one job stands.
-- Caller: control. Index: unique jobs.key.
SELECT job_states.job_id AS job_id, jobs.key AS key, job_states.attempt AS attempt, job_states.state AS state,
    job_states.own_priority AS own_priority
FROM jobs
JOIN job_states ON job_states.job_id = jobs.id
WHERE jobs.key = $1
FOR NO KEY UPDATE OF job_states;
