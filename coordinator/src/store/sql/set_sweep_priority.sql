-- Sets a sweep's priority.
-- Caller: control. Index: primary key.
UPDATE sweeps SET priority = $2
WHERE id = $1 AND priority <> $2;
