-- Records how the attempts of the JSON array $1 (job_id, attempt, outcome, state, message) ended, at $2.
-- Caller: cancel. Index: primary key.
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
