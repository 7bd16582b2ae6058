-- Gives every lease until $1 at least.
-- Caller: extend_leases. Index: job_states_lease.
UPDATE job_states SET lease_until_us = $1
WHERE state = 'leased' AND lease_until_us < $1;
