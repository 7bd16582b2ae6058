-- Tells whether a job can be claimed at $1.
-- Caller: claimable. Index: job_states_queued.
SELECT 1 FROM job_states
WHERE state = 'queued' AND not_before_us <= $1
LIMIT 1;
