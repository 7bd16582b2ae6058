-- Deletes the frontiers of sweep $1, with their history.
-- Caller: removal. Index: frontier_groups_sweep, frontier_standing.
WITH gone_frontier AS (
    DELETE FROM frontier
    WHERE group_id IN (SELECT frontier_groups.id FROM frontier_groups WHERE frontier_groups.sweep_id = $1)
),
gone_frontier_advances AS (
    DELETE FROM frontier_advances
    WHERE group_id IN (SELECT frontier_groups.id FROM frontier_groups WHERE frontier_groups.sweep_id = $1)
)
DELETE FROM frontier_groups
WHERE sweep_id = $1;
