-- Stores one exit's metrics.
-- Caller: complete. Index: primary key.
INSERT INTO exit_results (job_id, exit, accuracy, loss, calibration_accuracy, calibration_loss)
VALUES ($1, $2, $3, $4, $5, $6);
