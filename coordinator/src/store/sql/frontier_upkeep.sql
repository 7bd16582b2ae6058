-- How often results were removed, and whether the frontiers of older results are computed.
-- Caller: replay. Index: primary key.
SELECT n_removals, is_computed
FROM frontier_upkeep
WHERE id = 1;
