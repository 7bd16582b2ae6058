-- Notes that the sessions of the JSON array $1 were heard of.
-- Caller: batch. Index: primary key.
UPDATE sessions SET seen_us = $2
WHERE id IN (SELECT wanted.value::bigint FROM jsonb_array_elements_text($1::jsonb) AS wanted (value)) AND seen_us < $2;
