-- The ids of all sweeps.
-- Caller: replay. Index: primary key.
SELECT sweeps.id AS id
FROM sweeps
ORDER BY sweeps.id;
