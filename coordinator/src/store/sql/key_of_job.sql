-- The key of job $1.
-- Caller: submit. Index: primary key.
SELECT jobs.key AS key FROM jobs
WHERE jobs.id = $1;
