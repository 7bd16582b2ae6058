-- The frontiers of the JSON array $1 (sweep, grouping, dataset, backbone, pattern, trainer, metric). Until the end of the transaction nobody else
-- advances them.
-- Caller: frontier. Index: frontier_groups_key.
SELECT frontier_groups.id AS id, coalesce(frontier_groups.sweep_id, 0) AS sweep, frontier_groups.grouping AS grouping, frontier_groups.dataset AS dataset,
    frontier_groups.backbone AS backbone, frontier_groups.pattern AS pattern, frontier_groups.trainer AS trainer,
    frontier_groups.cost_metric AS cost_metric
FROM jsonb_to_recordset($1::jsonb) AS wanted (
    sweep bigint, grouping text, dataset text, backbone text, pattern text, trainer text, metric text
)
JOIN frontier_groups
    ON coalesce(frontier_groups.sweep_id, 0) = wanted.sweep
    AND frontier_groups.grouping = wanted.grouping
    AND frontier_groups.dataset = wanted.dataset
    AND frontier_groups.backbone = wanted.backbone
    AND frontier_groups.pattern = wanted.pattern
    AND frontier_groups.trainer = wanted.trainer
    AND frontier_groups.cost_metric = wanted.metric
ORDER BY frontier_groups.id
FOR NO KEY UPDATE OF frontier_groups;
