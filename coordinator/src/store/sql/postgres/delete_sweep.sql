-- Deletes sweep $1, whose frontiers are gone and for whose sake no job is handed out. What happened to its jobs stays with those.
-- Caller: removal. Index: primary keys.
WITH left_jobs AS (
    DELETE FROM sweep_jobs
    WHERE sweep_id = $1
),
unsponsored AS (
    UPDATE job_states
    SET sponsor_id = NULL
    WHERE sponsor_id = $1
),
gone AS (
    DELETE FROM events
    WHERE sweep_id = $1 AND job_id IS NULL
),
kept AS (
    UPDATE events
    SET sweep_id = NULL
    WHERE sweep_id = $1 AND job_id IS NOT NULL
)
DELETE FROM sweeps
WHERE id = $1;
