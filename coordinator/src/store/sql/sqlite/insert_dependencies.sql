-- Stores that jobs wait for others: pairs of keys (job, waits_for) in the JSON array $1.
-- Caller: submit. Index: unique jobs.key.
INSERT INTO job_dependencies (job_id, waits_for_id)
SELECT jobs.id, awaited.id
FROM json_each($1) AS wanted
JOIN jobs ON jobs.key = json_extract(wanted.value, '$.job')
JOIN jobs AS awaited ON awaited.key = json_extract(wanted.value, '$.waits_for')
WHERE true
ON CONFLICT (job_id, waits_for_id) DO NOTHING;
