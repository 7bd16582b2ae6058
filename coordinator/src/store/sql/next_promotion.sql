-- When the next back-off is over.
-- Caller: promote. Index: job_states_waiting.
SELECT min(not_before_us) AS at_us FROM job_states
WHERE state = 'queued' AND not_before_us > 0;
