-- Forgets what the frontiers of the JSON array $1 came to.
-- Caller: replay. Index: primary key.
DELETE FROM frontier_advances
WHERE group_id IN (SELECT wanted.value::bigint FROM jsonb_array_elements_text($1::jsonb) AS wanted (value));
