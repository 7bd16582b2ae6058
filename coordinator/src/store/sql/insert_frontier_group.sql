-- Makes a frontier where it does not exist: of a sweep, or of all where it is NULL.
-- Caller: frontier. Index: none.
INSERT INTO frontier_groups (grouping, sweep_id, dataset, backbone, pattern, trainer, cost_metric, reference_accuracy)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING;
