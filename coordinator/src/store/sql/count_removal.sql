-- Results were removed: what coordinators remember of frontiers counts no more.
-- Caller: replay. Index: primary key.
UPDATE frontier_upkeep
SET n_removals = n_removals + 1
WHERE id = 1;
