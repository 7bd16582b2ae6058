-- Every point that is or was on the frontiers of sweep $1 (0 for those of all sweeps together) by grouping $2 under metric $3, in the order in which
-- they entered.
-- Caller: frontier_history. Index: frontier_groups_key.
SELECT sweep, grouping, dataset, backbone, pattern, trainer, cost_metric, cost, accuracy, job, policy, setting, entered_us, left_us, displaced_by,
    hypervolume, reference_cost, reference_accuracy
FROM v_frontier_history
WHERE coalesce(sweep, 0) = $1 AND grouping = $2 AND cost_metric = $3
ORDER BY dataset, backbone, pattern, trainer, entered_us, cost, job, policy, setting;
