-- What an answer from each exit of the jobs of the JSON array $1 costs, side exits first.
-- Caller: batch. Index: primary key.
SELECT exits.job_id AS job_id, exits.macs_cascade AS macs_cascade, exits.macs_selected AS macs_selected
FROM json_each($1) AS wanted
JOIN exits ON exits.job_id = wanted.value
ORDER BY exits.job_id, exits.exit;
