-- Blocks those of the queued jobs of the JSON array $1 that wait for a job without a result.
-- Caller: dependencies. Index: primary keys.
UPDATE job_states SET state = 'blocked', not_before_us = 0
WHERE state = 'queued' AND job_id IN (SELECT wanted.value::bigint FROM jsonb_array_elements_text($1::jsonb) AS wanted (value))
    AND EXISTS (
        SELECT 1 FROM job_dependencies
        JOIN job_states AS awaited ON awaited.job_id = job_dependencies.waits_for_id
        WHERE job_dependencies.job_id = job_states.job_id AND awaited.state <> 'succeeded'
    )
RETURNING job_id, attempt;
