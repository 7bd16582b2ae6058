-- The lease that a report speaks of, where session $3 holds it with attempt $2.
-- Caller: complete, fail, release. Index: unique jobs.key, primary key of job_states.
SELECT jobs.id AS job_id, jobs.key AS key, job_states.attempt AS attempt, job_states.n_failures AS n_failures
FROM jobs
JOIN job_states ON job_states.job_id = jobs.id
WHERE jobs.key = $1 AND job_states.attempt = $2 AND job_states.session_id = $3 AND job_states.state = 'leased';
