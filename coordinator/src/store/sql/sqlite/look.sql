-- Open sessions among the ids of the JSON array $1, with what they offer; and where the attempts of the JSON array $2 (place, key, attempt) stand,
-- with what their results are measured against. Two statements: rows of the second one have a place.
-- Caller: batch. Index: unique jobs.key, primary keys of sessions, job_states, attempts and exits.
SELECT
    NULL AS place,
    sessions.id AS id, sessions.opened_us AS opened_us, sessions.draining AS draining, sessions.device AS device,
    sessions.memory_mib AS memory_mib, sessions.datasets AS datasets, sessions.labels AS labels
FROM json_each($1) AS wanted
JOIN sessions ON sessions.id = wanted.value
WHERE sessions.ended_us IS NULL;
SELECT
    json_extract(wanted.value, '$.place') AS place,
    jobs.id AS job_id, jobs.dataset AS dataset, jobs.backbone AS backbone, jobs.pattern AS pattern, jobs.params AS params,
    jobs.backbone_macs AS backbone_macs, jobs.n_classes AS n_classes,
    (
        SELECT json_group_array(json_array(exits.macs_cascade, exits.macs_selected) ORDER BY exits.exit)
        FROM exits
        WHERE exits.job_id = jobs.id
    ) AS exit_costs,
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
FROM json_each($2) AS wanted
JOIN jobs ON jobs.key = json_extract(wanted.value, '$.key')
JOIN job_states ON job_states.job_id = jobs.id
JOIN attempts ON attempts.job_id = jobs.id AND attempts.attempt = json_extract(wanted.value, '$.attempt')
JOIN sessions ON sessions.id = attempts.session_id;
