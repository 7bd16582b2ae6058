-- Open sessions among the ids of the JSON array $1, with what they offer; and where the attempts of the JSON array $2 (place, key, attempt) stand,
-- with what their results are measured against. The latter have a place. Until the end of the transaction none of these sessions ends, so that no
-- job is leased to one that has ended, and nobody else changes these jobs. Sessions come before jobs, as everywhere. And before either: while results
-- may be accepted, none is removed (lock_frontiers.sql has the other half).
-- Caller: batch. Index: unique jobs.key, primary keys of sessions, job_states, attempts and exits.
WITH accepting AS MATERIALIZED (
    SELECT CASE WHEN $2::text <> '[]' THEN pg_advisory_xact_lock_shared(1868788333, 2)::text END AS locked
),
open AS MATERIALIZED (
    SELECT sessions.id, sessions.opened_us, sessions.draining, sessions.device, sessions.memory_mib, sessions.datasets, sessions.labels
    FROM accepting
    CROSS JOIN jsonb_array_elements_text($1::jsonb) AS wanted (value)
    JOIN sessions ON sessions.id = wanted.value::bigint
    WHERE sessions.ended_us IS NULL
    ORDER BY sessions.id
    FOR SHARE OF sessions
),
reported AS MATERIALIZED (
    SELECT
        wanted.place, jobs.id AS job_id, jobs.dataset, jobs.backbone, jobs.pattern, jobs.params, jobs.backbone_macs, jobs.n_classes,
        (
            SELECT json_agg(json_build_array(exits.macs_cascade, exits.macs_selected) ORDER BY exits.exit)::text
            FROM exits
            WHERE exits.job_id = jobs.id
        ) AS exit_costs,
        job_states.state, job_states.attempt, job_states.n_failures, job_states.session_id, attempts.outcome,
        attempts.session_id AS attempt_session_id, sessions.opened_us AS attempt_session_opened_us, sessions.worker, sessions.trainer,
        (
            SELECT count(DISTINCT others.worker)
            FROM attempts AS crashes
            JOIN sessions AS others ON others.id = crashes.session_id
            WHERE crashes.job_id = jobs.id AND crashes.attempt > job_states.forgiven_attempt
                AND crashes.outcome = 'crashed' AND others.worker <> sessions.worker
        ) AS n_crashed_elsewhere
    FROM accepting
    CROSS JOIN jsonb_to_recordset($2::jsonb) AS wanted (place bigint, key text, attempt bigint)
    JOIN jobs ON jobs.key = wanted.key
    JOIN job_states ON job_states.job_id = jobs.id
    JOIN attempts ON attempts.job_id = jobs.id AND attempts.attempt = wanted.attempt
    JOIN sessions ON sessions.id = attempts.session_id
    ORDER BY jobs.id
    FOR NO KEY UPDATE OF job_states, attempts
)
SELECT
    NULL::bigint AS place, open.id AS id, open.opened_us AS opened_us, open.draining AS draining, open.device AS device,
    open.memory_mib AS memory_mib, open.datasets AS datasets, open.labels AS labels,
    NULL::bigint AS job_id, NULL::text AS dataset, NULL::text AS backbone, NULL::text AS pattern, NULL::bigint AS params,
    NULL::bigint AS backbone_macs, NULL::bigint AS n_classes, NULL::text AS exit_costs,
    NULL::text AS state, NULL::bigint AS attempt, NULL::bigint AS n_failures, NULL::bigint AS session_id, NULL::text AS outcome,
    NULL::bigint AS attempt_session_id, NULL::bigint AS attempt_session_opened_us, NULL::text AS worker, NULL::text AS trainer,
    NULL::bigint AS n_crashed_elsewhere
FROM open
UNION ALL
SELECT
    reported.place, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    reported.job_id, reported.dataset, reported.backbone, reported.pattern, reported.params, reported.backbone_macs, reported.n_classes, reported.exit_costs, reported.state, reported.attempt,
    reported.n_failures, reported.session_id, reported.outcome, reported.attempt_session_id, reported.attempt_session_opened_us,
    reported.worker, reported.trainer, reported.n_crashed_elsewhere
FROM reported;
