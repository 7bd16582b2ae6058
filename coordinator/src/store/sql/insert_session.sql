-- Opens a worker's session.
-- Caller: open_session. Index: none.
INSERT INTO sessions (worker, version, trainer, n_slots, embedded, opened_us, seen_us, device, memory_mib, datasets, labels)
VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10)
RETURNING id;
