-- Ends the leases of the JSON array $1 (job_id, attempt, state, n_failures, not_before_us, finished_us, error). Without an error the old one stays.
-- Caller: settle. Index: primary key.
UPDATE job_states
SET
    state = json_extract(wanted.value, '$.state'),
    n_failures = json_extract(wanted.value, '$.n_failures'),
    not_before_us = json_extract(wanted.value, '$.not_before_us'),
    session_id = NULL,
    lease_until_us = NULL,
    finished_us = json_extract(wanted.value, '$.finished_us'),
    error = coalesce(json_extract(wanted.value, '$.error'), error)
FROM json_each($1) AS wanted
WHERE job_states.job_id = json_extract(wanted.value, '$.job_id')
    AND job_states.attempt = json_extract(wanted.value, '$.attempt')
    AND job_states.state = 'leased';
