-- Open sessions that may claim, with what they offer.
-- Caller: withdraw. Index: sessions_open.
SELECT
    sessions.id AS id, sessions.device AS device, sessions.memory_mib AS memory_mib, sessions.datasets AS datasets,
    sessions.labels AS labels
FROM sessions
WHERE sessions.ended_us IS NULL AND sessions.draining = 0;
