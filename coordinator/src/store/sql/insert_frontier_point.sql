-- An operating point enters a frontier, and has perhaps left it since.
-- Caller: frontier. Index: primary key.
INSERT INTO frontier (group_id, job_id, point, cost, accuracy, entered_us, left_us, displaced_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);
