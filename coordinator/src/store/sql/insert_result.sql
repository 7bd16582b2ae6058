-- Stores a job's one result.
-- Caller: complete. Index: primary key.
INSERT INTO results (
    job_id, attempt, trainer, n_train, n_calibration, n_test, train_seconds, final_accuracy, best_accuracy, area,
    records_path, records_bytes, records_sha256
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);
