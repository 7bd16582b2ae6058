-- Points leave frontiers, those of the JSON array $1 (id, by, at_us). One that came in the same microsecond was never there.
-- Caller: frontier. Index: primary key.
WITH wanted AS MATERIALIZED (
    SELECT wanted.id, wanted.by, wanted.at_us
    FROM jsonb_to_recordset($1::jsonb) AS wanted (id bigint, by bigint, at_us bigint)
),
never AS (
    DELETE FROM frontier
    USING wanted
    WHERE frontier.id = wanted.id AND frontier.entered_us >= wanted.at_us
)
UPDATE frontier
SET left_us = wanted.at_us, displaced_by = wanted.by
FROM wanted
WHERE frontier.id = wanted.id AND frontier.entered_us < wanted.at_us;
