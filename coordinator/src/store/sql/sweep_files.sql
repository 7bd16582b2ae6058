-- The file of sweep $1, or of all where it is 0, oldest first.
-- Caller: exchange. Index: primary key.
SELECT key, name, text, created_us
FROM sweeps
WHERE CAST($1 AS BIGINT) = 0 OR id = CAST($1 AS BIGINT)
ORDER BY id;
