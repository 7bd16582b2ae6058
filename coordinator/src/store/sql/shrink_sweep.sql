-- Sweep $1 has one job less than its file says: the file submitted again is another sweep.
-- Caller: removal. Index: primary key.
UPDATE sweeps
SET n_jobs = n_jobs - 1, key = key || '-' || $2
WHERE id = $1;
