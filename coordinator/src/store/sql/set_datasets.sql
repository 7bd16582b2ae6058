-- Session $1 offers the datasets of the JSON array $2 from now on.
-- Caller: withdraw. Index: primary key.
UPDATE sessions SET datasets = $2 WHERE id = $1;
