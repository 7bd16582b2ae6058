-- Sends the open sessions of worker $1 home, as $2 says: 1 after their running jobs, 2 at once. A stronger order stays.
-- Caller: drain. Index: sessions_worker.
UPDATE sessions SET draining = $2
WHERE worker = $1 AND ended_us IS NULL AND draining < $2;
