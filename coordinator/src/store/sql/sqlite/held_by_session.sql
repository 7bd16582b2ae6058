-- Every lease of session $1.
-- Caller: close_session. Index: job_states_session.
SELECT
    jobs.id AS job_id, jobs.key AS key, job_states.attempt AS attempt, job_states.n_failures AS n_failures
FROM job_states
JOIN jobs ON jobs.id = job_states.job_id
WHERE job_states.session_id = $1 AND job_states.state = 'leased'
ORDER BY jobs.id;
