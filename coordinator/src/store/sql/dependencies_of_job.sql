-- The jobs that job $1 waits for or waited for.
-- Caller: job. Index: primary key of job_dependencies.
SELECT substr(awaited.key, 1, 12) AS job, job_states.state AS state
FROM jobs
JOIN job_dependencies ON job_dependencies.job_id = jobs.id
JOIN jobs AS awaited ON awaited.id = job_dependencies.waits_for_id
JOIN job_states ON job_states.job_id = awaited.id
WHERE jobs.key = $1
ORDER BY awaited.id;
