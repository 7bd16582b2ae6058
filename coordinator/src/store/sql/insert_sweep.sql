-- Stores a sweep file.
-- Caller: submit. Index: none.
INSERT INTO sweeps (key, name, text, created_us, n_jobs, priority, max_failed_jobs, submitted_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING id;
