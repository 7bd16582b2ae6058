-- Which of the attempts of the JSON array $1 (place, key, attempt) ended because their job was cancelled.
-- Caller: batch. Index: unique jobs.key, primary key of attempts.
SELECT json_extract(wanted.value, '$.place') AS place
FROM json_each($1) AS wanted
JOIN jobs ON jobs.key = json_extract(wanted.value, '$.key')
JOIN attempts ON attempts.job_id = jobs.id AND attempts.attempt = json_extract(wanted.value, '$.attempt')
WHERE attempts.outcome = 'cancelled';
