-- Puts the jobs of the JSON array $2 (position, key) into sweep $1.
-- Caller: submit. Index: unique jobs.key.
INSERT INTO sweep_jobs (sweep_id, position, job_id, reused)
SELECT $1, wanted.position, jobs.id, CASE WHEN job_states.state = 'succeeded' THEN 1 ELSE 0 END
FROM jsonb_to_recordset($2::jsonb) AS wanted (position bigint, key text)
JOIN jobs ON jobs.key = wanted.key
JOIN job_states ON job_states.job_id = jobs.id;
