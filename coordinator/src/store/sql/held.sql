-- The lease that a report speaks of, where session $3, opened at $4, holds it with attempt $2.
-- Caller: complete, fail, release. Index: unique jobs.key, primary keys of job_states and sessions.
SELECT jobs.id AS job_id, jobs.key AS key, job_states.attempt AS attempt, job_states.n_failures AS n_failures
FROM jobs
JOIN job_states ON job_states.job_id = jobs.id
JOIN sessions ON sessions.id = job_states.session_id
WHERE jobs.key = $1 AND job_states.attempt = $2 AND job_states.state = 'leased'
    AND sessions.id = $3 AND sessions.opened_us = $4;
