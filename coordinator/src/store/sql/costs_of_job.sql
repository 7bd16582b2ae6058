-- What an answer from each exit of a job costs, side exits first.
-- Caller: complete. Index: primary key.
SELECT exits.macs_cascade AS macs_cascade, exits.macs_selected AS macs_selected
FROM exits
WHERE exits.job_id = $1
ORDER BY exits.exit;
