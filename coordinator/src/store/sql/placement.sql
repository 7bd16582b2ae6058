-- The id of a placement.
-- Caller: submit. Index: unique (device, memory_mib, dataset, labels).
SELECT id FROM placements
WHERE device = $1 AND memory_mib = $2 AND dataset = $3 AND labels = $4;
