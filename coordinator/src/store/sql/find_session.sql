-- Tells whether a session is open.
-- Caller: await_claimable. Index: primary key.
SELECT id FROM sessions
WHERE id = $1 AND opened_us = $2 AND ended_us IS NULL;
