-- Finds a sweep that was submitted before.
-- Caller: submit. Index: unique sweeps.key.
SELECT id FROM sweeps WHERE key = $1;
