-- Records how the attempts of the JSON array $1 (job_id, attempt, outcome, state, message) ended, at $2.
-- Asks for no end yet in place of the outcome `running`, which says the same: of a condition like that the planner expects next to no rows, and would
-- go through the whole table for them.
-- Caller: cancel. Index: primary key.
UPDATE attempts
SET outcome = wanted.outcome, state = wanted.state, message = wanted.message, ended_us = greatest($2, attempts.leased_us)
FROM jsonb_to_recordset($1::jsonb) AS wanted (job_id bigint, attempt bigint, outcome text, state text, message text)
WHERE attempts.job_id = wanted.job_id AND attempts.attempt = wanted.attempt AND coalesce(attempts.ended_us, 0) <= 0;
