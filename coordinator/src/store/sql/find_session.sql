-- Tells whether a session is open.
-- Caller: check_session. Index: primary key.
SELECT id FROM sessions
WHERE id = $1 AND opened_us = $2 AND ended_us IS NULL;
