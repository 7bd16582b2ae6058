-- Which of the attempts of the JSON array $1 (place, key, attempt) ended because their job was cancelled.
-- Caller: batch. Index: unique jobs.key, primary key of attempts.
SELECT wanted.place AS place
FROM jsonb_to_recordset($1::jsonb) AS wanted (place bigint, key text, attempt bigint)
JOIN jobs ON jobs.key = wanted.key
JOIN attempts ON attempts.job_id = jobs.id AND attempts.attempt = wanted.attempt
WHERE attempts.outcome = 'cancelled';
