-- Leases job $1, however it stands without a result, to session $2 until $3; the report comes in the same transaction.
-- Caller: import. Index: primary key.
UPDATE job_states
SET state = 'leased', attempt = attempt + 1, session_id = $2, lease_until_us = $3, not_before_us = 0, finished_us = NULL
WHERE job_id = $1 AND state NOT IN ('leased', 'succeeded');
