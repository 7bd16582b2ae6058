-- Lets one transaction at a time change sweeps, across all coordinators: submissions and control see each other whole or not at all. Waits for its
-- turn for $1 milliseconds, and lets the statements after it wait for locks for $2 milliseconds. What a select list calls is called from left to right.
-- Caller: begin_alone. Index: none.
SELECT set_config('lock_timeout', $1, true), pg_advisory_xact_lock(1330008653), set_config('lock_timeout', $2, true);
