-- The frontiers that points of the jobs of the JSON array $1 are or were on; also where all that is left of them is what they displaced: of a point that
-- came and left within a microsecond there is no row.
-- Caller: replay. Index: frontier_point, frontier_displacing, primary keys.
SELECT frontier_groups.id AS id, coalesce(frontier_groups.sweep_id, 0) AS sweep, frontier_groups.grouping AS grouping, frontier_groups.dataset AS dataset,
    frontier_groups.backbone AS backbone, frontier_groups.pattern AS pattern, frontier_groups.trainer AS trainer,
    frontier_groups.cost_metric AS cost_metric
FROM frontier_groups
WHERE frontier_groups.id IN (
    SELECT frontier.group_id
    FROM frontier
    WHERE frontier.job_id IN (SELECT wanted.value FROM json_each($1) AS wanted)
    UNION
    SELECT frontier.group_id
    FROM frontier
    WHERE frontier.displaced_by IN (SELECT wanted.value FROM json_each($1) AS wanted)
);
