-- Records a finished epoch, once.
-- Caller: heartbeat. Index: primary key.
INSERT INTO epochs (job_id, attempt, epoch, loss, exit_accuracy, images_per_second)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (job_id, attempt, epoch) DO NOTHING;
