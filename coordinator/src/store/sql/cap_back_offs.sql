-- Brings back-offs back that end later than any back-off from now would.
-- Caller: mend_times. Index: job_states_waiting.
UPDATE job_states SET not_before_us = $1
WHERE state = 'queued' AND not_before_us > 0 AND not_before_us > $1;
