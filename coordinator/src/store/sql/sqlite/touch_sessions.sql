-- Notes that the sessions of the JSON array $1 were heard of.
-- Caller: batch. Index: primary key.
UPDATE sessions SET seen_us = $2
WHERE id IN (SELECT wanted.value FROM json_each($1) AS wanted) AND seen_us < $2;
