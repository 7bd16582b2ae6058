-- Stores the jobs of the JSON array $1 that are not there yet, in its order.
-- Caller: submit. Index: unique jobs.key.
INSERT INTO jobs (
    key, config, cell, backbone, dataset, pattern, exits, budget, recipe, regime, distill, exit_weights, seed, branch_rule,
    backbone_macs, budget_macs, branch_macs, budget_error, params, n_classes, created_us
)
SELECT
    json_extract(wanted.value, '$.key'),
    json_extract(wanted.value, '$.config'),
    json_extract(wanted.value, '$.cell'),
    json_extract(wanted.value, '$.backbone'),
    json_extract(wanted.value, '$.dataset'),
    json_extract(wanted.value, '$.pattern'),
    json_extract(wanted.value, '$.exits'),
    json_extract(wanted.value, '$.budget'),
    json_extract(wanted.value, '$.recipe'),
    json_extract(wanted.value, '$.regime'),
    json_extract(wanted.value, '$.distill'),
    json_extract(wanted.value, '$.exit_weights'),
    json_extract(wanted.value, '$.seed'),
    json_extract(wanted.value, '$.branch_rule'),
    json_extract(wanted.value, '$.backbone_macs'),
    json_extract(wanted.value, '$.budget_macs'),
    json_extract(wanted.value, '$.branch_macs'),
    json_extract(wanted.value, '$.budget_error'),
    json_extract(wanted.value, '$.params'),
    json_extract(wanted.value, '$.n_classes'),
    $2
FROM json_each($1) AS wanted
WHERE true
ORDER BY wanted.key
ON CONFLICT (key) DO NOTHING;
