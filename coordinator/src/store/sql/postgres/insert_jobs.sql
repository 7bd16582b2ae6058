-- Stores the jobs of the JSON array $1 that are not there yet, in its order.
-- Caller: submit. Index: unique jobs.key.
INSERT INTO jobs (
    key, config, cell, backbone, dataset, pattern, exits, budget, recipe, regime, distill, exit_weights, seed, branch_rule,
    backbone_macs, budget_macs, branch_macs, budget_error, params, n_classes, created_us
)
SELECT
    wanted.key,
    wanted.config,
    wanted.cell,
    wanted.backbone,
    wanted.dataset,
    wanted.pattern,
    wanted.exits,
    wanted.budget,
    wanted.recipe,
    wanted.regime,
    wanted.distill,
    wanted.exit_weights,
    wanted.seed,
    wanted.branch_rule,
    wanted.backbone_macs,
    wanted.budget_macs,
    wanted.branch_macs,
    wanted.budget_error,
    wanted.params,
    wanted.n_classes,
    $2
FROM jsonb_to_recordset($1::jsonb) AS wanted (
    position bigint, key text, config text, cell text, backbone text, dataset text, pattern text, exits text, budget text, recipe text, regime text, distill text, exit_weights text, seed bigint, branch_rule text, backbone_macs bigint, budget_macs bigint, branch_macs bigint, budget_error double precision, params bigint, n_classes bigint
)
ORDER BY wanted.position
ON CONFLICT (key) DO NOTHING;
