-- Ends the leases of the JSON array $1 (job_id, attempt, state, n_failures, not_before_us, finished_us, error; outcome, message), at $2. Without an
-- error the old one stays. Answers with the number of leases (`settled`), of blocked jobs that wait for these (`awaiting`), how often results
-- were removed (`removals`), and with the sweeps that have them (`sweep`).
-- Caller: settle. Index: primary keys, job_dependencies_waits_for, sweep_jobs_job.
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
SELECT 'settled' AS what, 0 AS job_id, changes() AS number;
UPDATE attempts
SET
    outcome = json_extract(wanted.value, '$.outcome'),
    state = json_extract(wanted.value, '$.state'),
    message = json_extract(wanted.value, '$.message'),
    -- Another coordinator, whose clock was read later, may have begun it.
    ended_us = max($2, attempts.leased_us)
FROM json_each($1) AS wanted
WHERE attempts.job_id = json_extract(wanted.value, '$.job_id')
    AND attempts.attempt = json_extract(wanted.value, '$.attempt')
    AND attempts.outcome = 'running';
SELECT 'awaiting' AS what, 0 AS job_id, count(*) AS number
FROM json_each($1) AS wanted
JOIN job_dependencies ON job_dependencies.waits_for_id = json_extract(wanted.value, '$.job_id')
JOIN job_states ON job_states.job_id = job_dependencies.job_id
WHERE job_states.state = 'blocked';
SELECT 'removals' AS what, 0 AS job_id, n_removals AS number
FROM frontier_upkeep
WHERE id = 1;
SELECT 'sweep' AS what, sweep_jobs.job_id AS job_id, sweep_jobs.sweep_id AS number
FROM json_each($1) AS wanted
JOIN sweep_jobs ON sweep_jobs.job_id = json_extract(wanted.value, '$.job_id');
