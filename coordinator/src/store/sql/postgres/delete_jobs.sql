-- Deletes the jobs of the JSON array $1, whose results are gone already, with all that refers to them. References are looked at when
-- the statement is over.
-- Caller: removal. Index: primary keys, events_job, job_dependencies_waits_for, sweep_jobs_job.
WITH wanted AS MATERIALIZED (
    SELECT wanted.value::bigint AS job_id
    FROM jsonb_array_elements_text($1::jsonb) AS wanted (value)
),
gone_events AS (
    DELETE FROM events
    WHERE job_id IN (SELECT wanted.job_id FROM wanted)
),
gone_epochs AS (
    DELETE FROM epochs
    WHERE job_id IN (SELECT wanted.job_id FROM wanted)
),
gone_attempts AS (
    DELETE FROM attempts
    WHERE job_id IN (SELECT wanted.job_id FROM wanted)
),
gone_exits AS (
    DELETE FROM exits
    WHERE job_id IN (SELECT wanted.job_id FROM wanted)
),
gone_job_dependencies AS (
    DELETE FROM job_dependencies
    WHERE job_id IN (SELECT wanted.job_id FROM wanted)
        OR waits_for_id IN (SELECT wanted.job_id FROM wanted)
),
gone_sweep_jobs AS (
    DELETE FROM sweep_jobs
    WHERE job_id IN (SELECT wanted.job_id FROM wanted)
),
gone_job_states AS (
    DELETE FROM job_states
    WHERE job_id IN (SELECT wanted.job_id FROM wanted)
)
DELETE FROM jobs
WHERE id IN (SELECT wanted.job_id FROM wanted);
