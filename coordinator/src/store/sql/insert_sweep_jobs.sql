-- Puts the jobs of the JSON array of keys $2 into sweep $1, in its order.
-- Caller: submit. Index: unique jobs.key.
INSERT INTO sweep_jobs (sweep_id, position, job_id)
SELECT $1, wanted.key, jobs.id
FROM json_each($2) AS wanted
JOIN jobs ON jobs.key = wanted.value;
