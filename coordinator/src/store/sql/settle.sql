-- Ends a lease. No row means that it ended already. Without an error ($7) the old one stays.
-- Caller: settle. Index: primary key.
UPDATE job_states
SET
    state = $3,
    n_failures = $4,
    not_before_us = $5,
    session_id = NULL,
    lease_until_us = NULL,
    finished_us = $6,
    error = coalesce($7, error)
WHERE job_id = $1 AND attempt = $2 AND state = 'leased';
