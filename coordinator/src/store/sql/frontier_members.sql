-- The frontiers of sweep $1 and dataset $2, under each metric, as they stand.
-- Caller: complete. Index: primary keys of frontier and operating_points.
SELECT
    frontier.cost_metric AS cost_metric,
    frontier.job_id AS job_id,
    frontier.point AS point,
    operating_points.macs_cascade AS macs_cascade,
    operating_points.macs_selected AS macs_selected,
    operating_points.accuracy AS accuracy
FROM frontier
JOIN operating_points ON operating_points.job_id = frontier.job_id AND operating_points.point = frontier.point
WHERE frontier.sweep_id = $1 AND frontier.dataset = $2;
