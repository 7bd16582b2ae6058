-- Of the job keys in the JSON array $1, counts those that exist and those that have a result.
-- Caller: submit, preview. Index: unique jobs.key.
SELECT
    count(*) AS n_known,
    count(CASE WHEN job_states.state = 'succeeded' THEN 1 END) AS n_finished
FROM jsonb_array_elements_text($1::jsonb) AS wanted (value)
JOIN jobs ON jobs.key = wanted.value
JOIN job_states ON job_states.job_id = jobs.id;
