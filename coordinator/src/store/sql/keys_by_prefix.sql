-- The first job keys from $1 up to $2, which bound those that begin alike.
-- Caller: job. Index: unique jobs.key.
SELECT key FROM jobs
WHERE key >= $1 AND key < $2
ORDER BY key
LIMIT 3;
