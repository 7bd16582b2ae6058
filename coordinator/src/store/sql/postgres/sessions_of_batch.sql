-- Open sessions among the ids of the JSON array $1, with what they offer. None of them ends before the transaction does, so that no job is leased to
-- one that has ended.
-- Caller: batch. Index: primary key.
SELECT
    sessions.id AS id, sessions.opened_us AS opened_us, sessions.trainer AS trainer, sessions.draining AS draining,
    sessions.device AS device, sessions.memory_mib AS memory_mib, sessions.datasets AS datasets, sessions.labels AS labels
FROM jsonb_array_elements_text($1::jsonb) AS wanted (value)
JOIN sessions ON sessions.id = wanted.value::bigint
WHERE sessions.ended_us IS NULL
ORDER BY sessions.id
FOR SHARE OF sessions;
