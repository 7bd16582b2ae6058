-- Ends a session.
-- Caller: close_session. Index: primary key.
UPDATE sessions SET ended_us = $3
WHERE id = $1 AND opened_us = $2 AND ended_us IS NULL;
