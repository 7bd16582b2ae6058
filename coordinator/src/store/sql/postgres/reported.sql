-- Where the attempts of the JSON array $1 (place, key, attempt) stand, and what their results are measured against. Nobody else changes them
-- until the end of the transaction.
-- Caller: batch. Index: unique jobs.key, primary keys of job_states, attempts and sessions.
SELECT
    wanted.place AS place,
    jobs.id AS job_id, jobs.key AS key, jobs.dataset AS dataset, jobs.backbone_macs AS backbone_macs, jobs.n_classes AS n_classes,
    job_states.state AS state, job_states.attempt AS attempt, job_states.n_failures AS n_failures,
    job_states.session_id AS session_id, attempts.outcome AS outcome, attempts.session_id AS attempt_session_id,
    sessions.opened_us AS attempt_session_opened_us, sessions.worker AS worker, sessions.trainer AS trainer,
    (
        SELECT count(DISTINCT others.worker)
        FROM attempts AS crashes
        JOIN sessions AS others ON others.id = crashes.session_id
        WHERE crashes.job_id = jobs.id AND crashes.attempt > job_states.forgiven_attempt
            AND crashes.outcome = 'crashed' AND others.worker <> sessions.worker
    ) AS n_crashed_elsewhere
FROM jsonb_to_recordset($1::jsonb) AS wanted (place bigint, key text, attempt bigint)
JOIN jobs ON jobs.key = wanted.key
JOIN job_states ON job_states.job_id = jobs.id
JOIN attempts ON attempts.job_id = jobs.id AND attempts.attempt = wanted.attempt
JOIN sessions ON sessions.id = attempts.session_id
ORDER BY jobs.id
FOR NO KEY UPDATE OF job_states, attempts;
