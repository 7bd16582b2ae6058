-- The session under which results of a worker elsewhere were imported before.
-- Caller: import. Index: none, there are few sessions.
SELECT id, opened_us
FROM sessions
WHERE worker = $1 AND version = $2 AND trainer = $3 AND n_slots = 0
ORDER BY id
LIMIT 1;
