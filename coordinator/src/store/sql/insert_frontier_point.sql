-- An operating point enters a frontier.
-- Caller: complete, submit. Index: primary key.
INSERT INTO frontier (sweep_id, dataset, cost_metric, job_id, point)
VALUES ($1, $2, $3, $4, $5);
