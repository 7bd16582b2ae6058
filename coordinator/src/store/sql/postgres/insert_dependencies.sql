-- Stores that jobs wait for others: pairs of keys (job, waits_for) in the JSON array $1.
-- Caller: submit. Index: unique jobs.key.
INSERT INTO job_dependencies (job_id, waits_for_id)
SELECT jobs.id, awaited.id
FROM jsonb_to_recordset($1::jsonb) AS wanted (job text, waits_for text)
JOIN jobs ON jobs.key = wanted.job
JOIN jobs AS awaited ON awaited.key = wanted.waits_for
ON CONFLICT (job_id, waits_for_id) DO NOTHING;
