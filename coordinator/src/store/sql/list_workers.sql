-- Workers' sessions, the newest first, at most $2; those that have ended only where $1 is not 0.
-- Caller: workers. Index: primary key of sessions.
SELECT session, worker, state, version, trainer, device, memory_mib, datasets, labels, n_slots, n_leased, opened_us, seen_us, ended_us
FROM v_workers
WHERE $1 <> 0 OR ended_us IS NULL
ORDER BY session DESC
LIMIT $2;
