-- Empties the frontiers of the JSON array $1, history included.
-- Caller: replay. Index: frontier_standing.
DELETE FROM frontier
WHERE group_id IN (SELECT wanted.value FROM json_each($1) AS wanted);
