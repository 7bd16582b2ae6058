-- Finished jobs after job $1, at most $3, with what is known of their results as a whole; those of sweep $2, or all where it is 0.
-- Caller: exchange, import. Index: primary keys, unique sweep_jobs (sweep_id, job_id).
SELECT
    jobs.id AS job_id, jobs.key AS key, jobs.config AS config, sessions.worker AS worker, sessions.version AS version,
    job_states.finished_us AS finished_us, results.trainer AS trainer, results.n_train AS n_train, results.n_calibration AS n_calibration,
    results.n_test AS n_test, results.train_seconds AS train_seconds, results.records_path AS records_path,
    results.records_bytes AS records_bytes, results.records_sha256 AS records_sha256
FROM results
JOIN jobs ON jobs.id = results.job_id
JOIN job_states ON job_states.job_id = results.job_id
JOIN attempts ON attempts.job_id = results.job_id AND attempts.attempt = results.attempt
JOIN sessions ON sessions.id = attempts.session_id
WHERE results.job_id > $1 AND (
    CAST($2 AS BIGINT) = 0
    OR EXISTS (SELECT 1 FROM sweep_jobs WHERE sweep_jobs.sweep_id = CAST($2 AS BIGINT) AND sweep_jobs.job_id = results.job_id)
)
ORDER BY results.job_id
LIMIT $3;
