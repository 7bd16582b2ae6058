-- The id of the newest sweep of a name.
-- Caller: sweep. Index: sweeps_name.
SELECT max(id) AS sweep FROM sweeps
WHERE name = $1;
