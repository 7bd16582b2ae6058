-- Points leave frontiers, those of the JSON array $1 (id, by, at_us). One that came in the same microsecond was never there.
-- Caller: frontier. Index: primary key.
DELETE FROM frontier
WHERE id IN (
    SELECT here.id
    FROM json_each($1) AS wanted
    JOIN frontier AS here ON here.id = json_extract(wanted.value, '$.id')
    WHERE here.entered_us >= json_extract(wanted.value, '$.at_us')
);
UPDATE frontier
SET left_us = json_extract(wanted.value, '$.at_us'), displaced_by = json_extract(wanted.value, '$.by')
FROM json_each($1) AS wanted
WHERE frontier.id = json_extract(wanted.value, '$.id');
