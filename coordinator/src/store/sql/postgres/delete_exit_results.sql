-- Deletes the exit results of the jobs of the JSON array $1.
-- Caller: replay. Index: primary key.
DELETE FROM exit_results
WHERE job_id IN (SELECT wanted.value::bigint FROM jsonb_array_elements_text($1::jsonb) AS wanted (value));
