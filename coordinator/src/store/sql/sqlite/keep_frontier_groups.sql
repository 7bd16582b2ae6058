-- The frontiers of the JSON array $1 (sweep, grouping, dataset, backbone, pattern, trainer, metric).
-- Caller: frontier. Index: frontier_groups_key.
SELECT frontier_groups.id AS id, coalesce(frontier_groups.sweep_id, 0) AS sweep, frontier_groups.grouping AS grouping, frontier_groups.dataset AS dataset,
    frontier_groups.backbone AS backbone, frontier_groups.pattern AS pattern, frontier_groups.trainer AS trainer,
    frontier_groups.cost_metric AS cost_metric
FROM json_each($1) AS wanted
JOIN frontier_groups
    ON coalesce(frontier_groups.sweep_id, 0) = json_extract(wanted.value, '$.sweep')
    AND frontier_groups.grouping = json_extract(wanted.value, '$.grouping')
    AND frontier_groups.dataset = json_extract(wanted.value, '$.dataset')
    AND frontier_groups.backbone = json_extract(wanted.value, '$.backbone')
    AND frontier_groups.pattern = json_extract(wanted.value, '$.pattern')
    AND frontier_groups.trainer = json_extract(wanted.value, '$.trainer')
    AND frontier_groups.cost_metric = json_extract(wanted.value, '$.metric');
