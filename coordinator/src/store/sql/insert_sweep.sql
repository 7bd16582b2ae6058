-- Stores a sweep file.
-- Caller: submit. Index: none.
INSERT INTO sweeps (key, name, text, created_us, n_jobs)
VALUES ($1, $2, $3, $4, $5)
RETURNING id;
