-- The operating points of the results of jobs after $1 and up to $2; those of sweep $3, or all where it is 0.
-- Caller: exchange, import. Index: primary key, unique sweep_jobs (sweep_id, job_id).
SELECT
    job_id, policy, setting, macs_cascade, macs_selected, accuracy, calibration_accuracy, calibration_macs_cascade, exit_shares, latency_us,
    images_per_second
FROM operating_points
WHERE job_id > $1 AND job_id <= $2
    AND (
        CAST($3 AS BIGINT) = 0
        OR EXISTS (SELECT 1 FROM sweep_jobs WHERE sweep_jobs.sweep_id = CAST($3 AS BIGINT) AND sweep_jobs.job_id = operating_points.job_id)
    )
ORDER BY job_id, point;
