-- Every lease that ran out by $1.
-- Caller: expire. Index: job_states_lease.
SELECT
    jobs.id AS job_id, jobs.key AS key, job_states.attempt AS attempt, job_states.n_failures AS n_failures
FROM job_states
JOIN jobs ON jobs.id = job_states.job_id
WHERE job_states.state = 'leased' AND job_states.lease_until_us <= $1
ORDER BY jobs.id;
