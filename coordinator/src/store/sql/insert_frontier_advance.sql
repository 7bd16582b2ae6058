-- Notes what a frontier comes to. Of several times in one microsecond the last counts.
-- Caller: frontier. Index: primary key.
INSERT INTO frontier_advances (group_id, at_us, hypervolume, reference_cost)
VALUES ($1, $2, $3, $4)
ON CONFLICT (group_id, at_us) DO UPDATE SET hypervolume = excluded.hypervolume, reference_cost = excluded.reference_cost;
