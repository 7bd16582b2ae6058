-- Placements after $1.
-- Caller: batch. Index: primary key.
SELECT placements.id AS id, placements.device AS device, placements.memory_mib AS memory_mib, placements.dataset AS dataset,
    placements.labels AS labels
FROM placements
WHERE placements.id > $1
ORDER BY placements.id;
