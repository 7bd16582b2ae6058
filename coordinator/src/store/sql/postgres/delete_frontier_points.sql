-- Empties the frontiers of the JSON array $1, history included.
-- Caller: replay. Index: frontier_standing.
DELETE FROM frontier
WHERE group_id IN (SELECT wanted.value::bigint FROM jsonb_array_elements_text($1::jsonb) AS wanted (value));
