-- When a worker was last heard of; NULL where none is connected.
-- Caller: last_heard. Index: sessions_open.
SELECT max(sessions.seen_us) AS seen_us FROM sessions
WHERE sessions.ended_us IS NULL;
