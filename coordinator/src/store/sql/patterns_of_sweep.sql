-- Sweep $1's cells over their seeds.
-- Caller: patterns. Index: primary keys of sweep_jobs and results.
SELECT sweep, backbone, dataset, exits, budget, recipe, pattern, n_seeds, area_mean, area_deviation, final_accuracy_mean,
    final_accuracy_deviation, budget_error, branch_macs, backbone_macs
FROM v_patterns
WHERE sweep = $1
ORDER BY dataset, backbone, exits, budget, recipe, pattern;
