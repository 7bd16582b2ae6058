-- Open sessions, and those of worker $1 that were heard of since $2.
-- Caller: open_session. Index: sessions_open.
SELECT count(*) AS n_open, count(CASE WHEN sessions.worker = $1 AND sessions.seen_us >= $2 THEN 1 END) AS n_namesakes
FROM sessions
WHERE sessions.ended_us IS NULL;
