-- Keeps what the jobs of the JSON array $1 wait for as it is until the end of the transaction. A result that comes meanwhile waits, and then finds
-- the jobs blocked; one that came before is seen by the statements after this one.
-- Caller: block. Index: primary keys.
SELECT awaited.job_id AS job_id
FROM job_states AS awaited
WHERE awaited.job_id IN (
    SELECT job_dependencies.waits_for_id
    FROM jsonb_array_elements_text($1::jsonb) AS wanted (value)
    JOIN job_dependencies ON job_dependencies.job_id = wanted.value::bigint
)
ORDER BY awaited.job_id
FOR SHARE;
