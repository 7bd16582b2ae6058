-- Deletes sweep $1, whose frontiers are gone and for whose sake no job is handed out. What happened to its jobs stays with those.
-- Caller: removal. Index: primary keys.
DELETE FROM sweep_jobs
WHERE sweep_id = $1;
UPDATE job_states
SET sponsor_id = NULL
WHERE sponsor_id = $1;
DELETE FROM events
WHERE sweep_id = $1 AND job_id IS NULL;
UPDATE events
SET sweep_id = NULL
WHERE sweep_id = $1;
DELETE FROM sweeps
WHERE id = $1;
