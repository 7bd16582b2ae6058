-- Moves a sweep from state $3 to $2, and says why ($4).
-- Caller: control, breaker. Index: primary key.
UPDATE sweeps SET state = $2, note = $4
WHERE id = $1 AND state = $3;
