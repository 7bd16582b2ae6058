-- Ends the sessions of workers that lived in an earlier coordinator's process.
-- Caller: lose_embedded. Index: sessions_open.
UPDATE sessions SET ended_us = $1
WHERE embedded = 1 AND ended_us IS NULL;
