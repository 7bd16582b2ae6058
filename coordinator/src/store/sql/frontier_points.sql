-- The frontiers of sweep $1 (0 for those of all sweeps together) by grouping $2 under metric $3, cheapest first within each.
-- Caller: frontier. Index: frontier_groups_key, frontier_standing.
SELECT sweep, grouping, dataset, trainer, cost_metric, cost, accuracy, backbone, pattern, exits, budget, recipe, seed, policy, setting, latency_us,
    images_per_second, job
FROM v_frontier
WHERE coalesce(sweep, 0) = $1 AND grouping = $2 AND cost_metric = $3
ORDER BY dataset, CASE grouping WHEN 'backbone' THEN backbone WHEN 'pattern' THEN pattern ELSE '' END,
    CASE cost_metric WHEN 'latency_us' THEN trainer ELSE '' END, cost, job, policy, setting;
