-- Lets one transaction at a time change sweeps, across all coordinators: submissions and control see each other whole or not at all.
-- Caller: begin_alone. Index: none.
SELECT pg_advisory_xact_lock(1330008653);
