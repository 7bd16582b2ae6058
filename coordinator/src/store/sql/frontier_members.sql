-- The frontier of sweep $1 and dataset $2 under metric $3, as it stands.
-- Caller: complete. Index: primary keys of frontier and operating_points.
SELECT
    frontier.job_id AS job_id,
    frontier.point AS point,
    operating_points.macs_cascade AS macs_cascade,
    operating_points.macs_selected AS macs_selected,
    operating_points.accuracy AS accuracy
FROM frontier
JOIN operating_points ON operating_points.job_id = frontier.job_id AND operating_points.point = frontier.point
WHERE frontier.sweep_id = $1 AND frontier.dataset = $2 AND frontier.cost_metric = $3;
