-- Notes that an open session was heard of; no row means that it is unknown or over.
-- Caller: claim, heartbeat. Index: primary key.
UPDATE sessions SET seen_us = $3
WHERE id = $1 AND opened_us = $2 AND ended_us IS NULL;
