-- Stores one operating point.
-- Caller: complete. Index: primary key.
INSERT INTO operating_points (
    job_id, point, policy, setting, macs_cascade, macs_selected, accuracy, calibration_accuracy, calibration_macs_cascade, exit_shares,
    latency_us, images_per_second
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);
