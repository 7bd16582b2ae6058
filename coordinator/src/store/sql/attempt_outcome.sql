-- How attempt $2 of job $1 ended.
-- Caller: complete, fail. Index: unique jobs.key, primary key of attempts.
SELECT attempts.outcome AS outcome
FROM attempts
JOIN jobs ON jobs.id = attempts.job_id
WHERE jobs.key = $1 AND attempts.attempt = $2;
