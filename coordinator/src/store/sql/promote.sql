-- Makes the jobs claimable whose back-off is over at $1.
-- Caller: expire. Index: job_states_waiting.
UPDATE job_states SET not_before_us = 0
WHERE state = 'queued' AND not_before_us > 0 AND not_before_us <= $1;
