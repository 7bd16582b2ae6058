-- The exits of the results of jobs after $1 and up to $2; those of sweep $3, or all where it is 0.
-- Caller: exchange, import. Index: primary key, unique sweep_jobs (sweep_id, job_id).
SELECT
    job_id, accuracy, loss, calibration_accuracy, calibration_loss, top5_accuracy, ece, calibration_top5_accuracy, calibration_ece
FROM exit_results
WHERE job_id > $1 AND job_id <= $2
    AND (
        CAST($3 AS BIGINT) = 0
        OR EXISTS (SELECT 1 FROM sweep_jobs WHERE sweep_jobs.sweep_id = CAST($3 AS BIGINT) AND sweep_jobs.job_id = exit_results.job_id)
    )
ORDER BY job_id, exit;
