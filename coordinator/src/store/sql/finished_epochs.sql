-- The epochs of the attempts that the results of jobs after $1 and up to $2 are of.
-- Caller: exchange, import. Index: primary keys, unique sweep_jobs (sweep_id, job_id).
SELECT
    epochs.job_id AS job_id, epochs.epoch AS epoch, epochs.loss AS loss, epochs.exit_accuracy AS exit_accuracy,
    epochs.images_per_second AS images_per_second
FROM results
JOIN epochs ON epochs.job_id = results.job_id AND epochs.attempt = results.attempt
WHERE results.job_id > $1 AND results.job_id <= $2
    AND (
        CAST($3 AS BIGINT) = 0
        OR EXISTS (SELECT 1 FROM sweep_jobs WHERE sweep_jobs.sweep_id = CAST($3 AS BIGINT) AND sweep_jobs.job_id = results.job_id)
    )
ORDER BY epochs.job_id, epochs.epoch;
