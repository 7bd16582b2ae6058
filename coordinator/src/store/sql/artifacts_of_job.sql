-- The files that belong to a job's result.
-- Caller: job. Index: jobs_job, primary keys of results, attempts and sessions.
SELECT job, attempt, kind, worker, path, bytes, sha256
FROM v_artifacts
WHERE job = $1
ORDER BY kind;
