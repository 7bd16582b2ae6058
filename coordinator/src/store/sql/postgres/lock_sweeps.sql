-- Keeps the sweeps of the JSON array $1 until the end of the transaction: nobody else advances their frontiers.
-- Caller: frontier. Index: primary key.
SELECT sweeps.id AS id
FROM jsonb_array_elements_text($1::jsonb) AS wanted (value)
JOIN sweeps ON sweeps.id = wanted.value::bigint
ORDER BY sweeps.id
FOR NO KEY UPDATE OF sweeps;
