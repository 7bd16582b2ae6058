-- A job's operating points, as they were reported.
-- Caller: job. Index: jobs_job, primary key of operating_points.
SELECT job, policy, setting, macs_cascade, macs_selected, accuracy, calibration_accuracy, calibration_macs_cascade, exit_shares,
    latency_us, images_per_second, backbone, dataset, pattern, seed
FROM v_operating_points
WHERE job = $1
ORDER BY policy, setting;
