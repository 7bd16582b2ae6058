-- The newest sweep's id.
-- Caller: sweep. Index: primary key of sweeps.
SELECT max(id) AS sweep FROM sweeps;
