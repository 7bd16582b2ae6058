-- Sweep $1's frontier under metric $2, cheapest first within each dataset.
-- Caller: frontier. Index: primary key of frontier.
SELECT sweep, dataset, cost_metric, cost, accuracy, backbone, pattern, exits, budget, recipe, seed, policy, setting, latency_us,
    images_per_second, job
FROM v_frontier
WHERE sweep = $1 AND cost_metric = $2
ORDER BY dataset, cost, job, policy, setting;
