-- Queues those of the blocked jobs of the JSON array $1 whose dependencies all have their results.
-- Caller: dependencies. Index: primary keys.
UPDATE job_states SET state = 'queued'
WHERE state = 'blocked' AND job_id IN (SELECT wanted.value FROM json_each($1) AS wanted)
    AND NOT EXISTS (
        SELECT 1 FROM job_dependencies
        JOIN job_states AS awaited ON awaited.job_id = job_dependencies.waits_for_id
        WHERE job_dependencies.job_id = job_states.job_id AND awaited.state <> 'succeeded'
    )
RETURNING job_id, attempt;
