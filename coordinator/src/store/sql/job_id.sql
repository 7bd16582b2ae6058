-- The number of the job with key $1.
-- Caller: import. Index: unique jobs.key.
SELECT id FROM jobs WHERE key = $1;
