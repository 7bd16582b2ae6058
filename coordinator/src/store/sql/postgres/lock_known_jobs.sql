-- Keeps the jobs of the JSON array of keys $1 as they are until the end of the transaction: a result that comes meanwhile waits, and then finds
-- the new sweep, whose frontier it belongs to.
-- Caller: submit. Index: unique jobs.key.
SELECT job_states.job_id AS job_id
FROM jsonb_array_elements_text($1::jsonb) AS wanted (value)
JOIN jobs ON jobs.key = wanted.value
JOIN job_states ON job_states.job_id = jobs.id
ORDER BY job_states.job_id
FOR SHARE OF job_states;
