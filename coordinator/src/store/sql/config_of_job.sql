-- A job's canonical configuration.
-- Caller: job. Index: unique jobs.key.
SELECT config FROM jobs
WHERE key = $1;
