-- Stores what jobs need of a worker, once.
-- Caller: submit. Index: unique (device, memory_mib, dataset, labels).
INSERT INTO placements (device, memory_mib, dataset, labels, label)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (device, memory_mib, dataset, labels) DO NOTHING;
