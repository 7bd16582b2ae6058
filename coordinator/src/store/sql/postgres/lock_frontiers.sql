-- Waits for the transactions that accept results, and holds up the next ones until the end of this one (look.sql has the other half).
-- Caller: replay. Index: none.
SELECT pg_advisory_xact_lock(1868788333, 2);
