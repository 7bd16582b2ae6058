-- What an answer from each exit of the jobs of the JSON array $1 costs, side exits first.
-- Caller: batch. Index: primary key.
SELECT exits.job_id AS job_id, exits.macs_cascade AS macs_cascade, exits.macs_selected AS macs_selected
FROM jsonb_array_elements_text($1::jsonb) AS wanted (value)
JOIN exits ON exits.job_id = wanted.value::bigint
ORDER BY exits.job_id, exits.exit;
