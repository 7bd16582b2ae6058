-- Forgets what the frontiers of the JSON array $1 came to.
-- Caller: replay. Index: primary key.
DELETE FROM frontier_advances
WHERE group_id IN (SELECT wanted.value FROM json_each($1) AS wanted);
