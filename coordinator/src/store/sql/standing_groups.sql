-- The frontiers of sweep $1 (0 for those of all sweeps together) by grouping $2 under metric $3 that have points, with what they come to.
-- Caller: frontiers. Index: frontier_groups_key, primary key of frontier_advances.
SELECT frontier_groups.dataset AS dataset, nullif(frontier_groups.backbone, '') AS backbone, nullif(frontier_groups.pattern, '') AS pattern,
    nullif(frontier_groups.trainer, '') AS trainer, frontier_groups.reference_accuracy AS reference_accuracy,
    frontier_advances.hypervolume AS hypervolume, frontier_advances.reference_cost AS reference_cost,
    (SELECT count(*) FROM frontier WHERE frontier.group_id = frontier_groups.id AND frontier.left_us IS NULL) AS n_points
FROM frontier_groups
JOIN frontier_advances ON frontier_advances.group_id = frontier_groups.id
    AND frontier_advances.at_us = (SELECT max(newest.at_us) FROM frontier_advances AS newest WHERE newest.group_id = frontier_groups.id)
WHERE coalesce(frontier_groups.sweep_id, 0) = $1 AND frontier_groups.grouping = $2 AND frontier_groups.cost_metric = $3
    AND EXISTS (SELECT 1 FROM frontier WHERE frontier.group_id = frontier_groups.id AND frontier.left_us IS NULL)
ORDER BY frontier_groups.dataset, frontier_groups.backbone, frontier_groups.pattern, frontier_groups.trainer;
