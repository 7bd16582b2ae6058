-- Ends the leases of the JSON array $1 (job_id, attempt, state, n_failures, not_before_us, finished_us, error; outcome, message), at $2. Without an
-- error the old one stays. Answers with the number of leases (`settled`), of blocked jobs that wait for these (`awaiting`), how often results
-- were removed (`removals`), and with the sweeps that have them (`sweep`): whoever makes a job wait for these, or adds them to a sweep, waits for them, so that none is missed.
-- Asks for a session instead of the state `leased`, which says the same: lest all leases are gone through for the sake of their short index. Asks for
-- no end yet in place of the outcome `running`, which says the same, too: of a condition like that the planner expects next to no rows, and would go
-- through the whole table for them.
-- Caller: settle. Index: primary keys, job_dependencies_waits_for, sweep_jobs_job.
WITH wanted AS MATERIALIZED (
    SELECT
        wanted.job_id, wanted.attempt, wanted.state, wanted.n_failures, wanted.not_before_us, wanted.finished_us, wanted.error, wanted.outcome,
        wanted.message
    FROM jsonb_to_recordset($1::jsonb) AS wanted (
        job_id bigint, attempt bigint, state text, n_failures bigint, not_before_us bigint, finished_us bigint, error text, outcome text,
        message text
    )
),
settled AS (
    UPDATE job_states
    SET
        state = wanted.state,
        n_failures = wanted.n_failures,
        not_before_us = wanted.not_before_us,
        session_id = NULL,
        lease_until_us = NULL,
        finished_us = wanted.finished_us,
        error = coalesce(wanted.error, job_states.error)
    FROM wanted
    WHERE job_states.job_id = wanted.job_id AND job_states.attempt = wanted.attempt AND job_states.session_id IS NOT NULL
    RETURNING job_states.job_id
),
ended AS (
    UPDATE attempts
    SET outcome = wanted.outcome, state = wanted.state, message = wanted.message, ended_us = greatest($2, attempts.leased_us)
    FROM wanted
    WHERE attempts.job_id = wanted.job_id AND attempts.attempt = wanted.attempt AND coalesce(attempts.ended_us, 0) <= 0
)
SELECT 'settled' AS what, 0::bigint AS job_id, count(*) AS number
FROM settled
UNION ALL
SELECT 'awaiting', 0, coalesce(sum((
    SELECT count(*)
    FROM job_dependencies
    JOIN job_states ON job_states.job_id = job_dependencies.job_id
    WHERE job_dependencies.waits_for_id = wanted.job_id AND job_states.state = 'blocked'
)), 0)::bigint
FROM wanted
UNION ALL
SELECT 'removals', 0, frontier_upkeep.n_removals
FROM frontier_upkeep
WHERE frontier_upkeep.id = 1
UNION ALL
SELECT 'sweep', sweep_jobs.job_id, sweep_jobs.sweep_id
FROM wanted
JOIN sweep_jobs ON sweep_jobs.job_id = wanted.job_id;
