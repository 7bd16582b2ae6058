-- Deletes the jobs of the JSON array $1, whose results are gone already, with all that refers to them.
-- Caller: removal. Index: primary keys, events_job, job_dependencies_waits_for, sweep_jobs_job.
DELETE FROM events
WHERE job_id IN (SELECT wanted.value FROM json_each($1) AS wanted);
DELETE FROM epochs
WHERE job_id IN (SELECT wanted.value FROM json_each($1) AS wanted);
DELETE FROM attempts
WHERE job_id IN (SELECT wanted.value FROM json_each($1) AS wanted);
DELETE FROM exits
WHERE job_id IN (SELECT wanted.value FROM json_each($1) AS wanted);
DELETE FROM job_dependencies
WHERE job_id IN (SELECT wanted.value FROM json_each($1) AS wanted);
DELETE FROM job_dependencies
WHERE waits_for_id IN (SELECT wanted.value FROM json_each($1) AS wanted);
DELETE FROM sweep_jobs
WHERE job_id IN (SELECT wanted.value FROM json_each($1) AS wanted);
DELETE FROM job_states
WHERE job_id IN (SELECT wanted.value FROM json_each($1) AS wanted);
DELETE FROM jobs
WHERE id IN (SELECT wanted.value FROM json_each($1) AS wanted);
