-- Ends the leases of the JSON array $1 (job_id, attempt, state, n_failures, not_before_us, finished_us, error). Without an error the old one stays.
-- Asks for a session instead of the state `leased`, which says the same: lest all leases are gone through for the sake of their short index.
-- Caller: settle. Index: primary key.
UPDATE job_states
SET
    state = wanted.state,
    n_failures = wanted.n_failures,
    not_before_us = wanted.not_before_us,
    session_id = NULL,
    lease_until_us = NULL,
    finished_us = wanted.finished_us,
    error = coalesce(wanted.error, job_states.error)
FROM jsonb_to_recordset($1::jsonb)
    AS wanted (job_id bigint, attempt bigint, state text, n_failures bigint, not_before_us bigint, finished_us bigint, error text)
WHERE job_states.job_id = wanted.job_id AND job_states.attempt = wanted.attempt AND job_states.session_id IS NOT NULL;
