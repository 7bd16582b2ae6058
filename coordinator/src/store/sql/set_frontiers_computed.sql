-- The frontiers of older results are computed.
-- Caller: replay. Index: primary key.
UPDATE frontier_upkeep
SET is_computed = 1
WHERE id = 1;
