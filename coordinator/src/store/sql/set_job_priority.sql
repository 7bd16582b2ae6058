-- Sets what a job's own priority adds to its sweep's.
-- Caller: control. Index: primary key.
UPDATE job_states SET priority = priority - own_priority + $2, own_priority = $2
WHERE job_id = $1 AND own_priority <> $2 AND state IN ('blocked', 'queued', 'leased');
