-- Puts the jobs of the JSON array $2 (position, key) into sweep $1.
-- Caller: submit. Index: unique jobs.key.
INSERT INTO sweep_jobs (sweep_id, position, job_id, reused)
SELECT $1, json_extract(wanted.value, '$.position'), jobs.id, job_states.state = 'succeeded'
FROM json_each($2) AS wanted
JOIN jobs ON jobs.key = json_extract(wanted.value, '$.key')
JOIN job_states ON job_states.job_id = jobs.id;
