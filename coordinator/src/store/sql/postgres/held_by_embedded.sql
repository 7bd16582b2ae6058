-- Every lease of a worker that lived in an earlier coordinator's process.
-- Caller: lose_embedded. Index: job_states_session.
SELECT
    jobs.id AS job_id, jobs.key AS key, job_states.attempt AS attempt, job_states.n_failures AS n_failures
FROM job_states
JOIN jobs ON jobs.id = job_states.job_id
JOIN sessions ON sessions.id = job_states.session_id
WHERE job_states.state = 'leased' AND sessions.embedded = 1
ORDER BY jobs.id
FOR NO KEY UPDATE OF job_states;
