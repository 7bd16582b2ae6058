-- Brings leases back that end later than any lease from now would.
-- Caller: mend_times. Index: job_states_lease.
UPDATE job_states SET lease_until_us = $1
WHERE state = 'leased' AND lease_until_us > $1;
