-- Stores one exit's metrics.
-- Caller: complete. Index: primary key.
INSERT INTO exit_results (
    job_id, exit, accuracy, loss, calibration_accuracy, calibration_loss, top5_accuracy, ece, calibration_top5_accuracy, calibration_ece
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);
