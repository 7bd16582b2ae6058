-- An operating point is displaced from a frontier.
-- Caller: complete. Index: primary key.
DELETE FROM frontier
WHERE sweep_id = $1 AND dataset = $2 AND cost_metric = $3 AND job_id = $4 AND point = $5;
