-- Open sessions among the ids of the JSON array $1, with what they offer.
-- Caller: batch. Index: primary key.
SELECT
    sessions.id AS id, sessions.opened_us AS opened_us, sessions.trainer AS trainer, sessions.draining AS draining,
    sessions.device AS device, sessions.memory_mib AS memory_mib, sessions.datasets AS datasets, sessions.labels AS labels
FROM json_each($1) AS wanted
JOIN sessions ON sessions.id = wanted.value
WHERE sessions.ended_us IS NULL;
