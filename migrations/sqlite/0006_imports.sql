-- Results that come from other databases. Each is of an attempt all the same, under a session without slots that stands for the worker that trained
-- it elsewhere; such sessions are no workers of this database, and nothing was claimed.

DROP VIEW v_events;
DROP VIEW v_workers;

CREATE VIEW v_workers AS
SELECT
    sessions.id AS session,
    sessions.worker AS worker,
    CASE WHEN sessions.ended_us IS NOT NULL THEN 'ended' WHEN sessions.draining > 0 THEN 'draining' ELSE 'open' END AS state,
    sessions.version AS version,
    sessions.trainer AS trainer,
    sessions.device AS device,
    sessions.memory_mib AS memory_mib,
    replace(replace(replace(replace(sessions.datasets, '[', ''), ']', ''), '"', ''), ',', ', ') AS datasets,
    replace(replace(replace(replace(sessions.labels, '[', ''), ']', ''), '"', ''), ',', ', ') AS labels,
    sessions.n_slots AS n_slots,
    (SELECT count(*) FROM job_states WHERE job_states.session_id = sessions.id AND job_states.state = 'leased') AS n_leased,
    sessions.opened_us AS opened_us,
    sessions.seen_us AS seen_us,
    sessions.ended_us AS ended_us
FROM sessions
WHERE sessions.n_slots > 0;

-- The whole story: submissions, attempts, and what else happened.
CREATE VIEW v_events AS
SELECT
    jobs.created_us AS at_us,
    substr(jobs.key, 1, 12) AS job,
    first_sweeps.id AS sweep,
    0 AS attempt,
    'submitted' AS event,
    'queued' AS state,
    first_sweeps.submitted_by AS who,
    '' AS message
FROM jobs
JOIN sweeps AS first_sweeps ON first_sweeps.id = (SELECT min(sweep_jobs.sweep_id) FROM sweep_jobs WHERE sweep_jobs.job_id = jobs.id)
UNION ALL
SELECT attempts.leased_us, substr(jobs.key, 1, 12), NULL, attempts.attempt, 'claimed', 'leased', sessions.worker, ''
FROM attempts
JOIN jobs ON jobs.id = attempts.job_id
JOIN sessions ON sessions.id = attempts.session_id
-- That a result was imported is an event of its own, and nobody claimed the job.
WHERE sessions.n_slots > 0
UNION ALL
SELECT
    attempts.ended_us, substr(jobs.key, 1, 12), NULL, attempts.attempt, attempts.outcome, attempts.state,
    CASE WHEN attempts.outcome = 'lost' THEN 'coordinator' ELSE sessions.worker END,
    attempts.message
FROM attempts
JOIN jobs ON jobs.id = attempts.job_id
JOIN sessions ON sessions.id = attempts.session_id
-- Who cancelled an attempt, and why, is an event of its own.
WHERE attempts.outcome NOT IN ('running', 'cancelled') AND sessions.n_slots > 0
UNION ALL
SELECT
    events.at_us, substr(jobs.key, 1, 12), events.sweep_id, events.attempt, events.event, events.state, events.who, events.message
FROM events
JOIN jobs ON jobs.id = events.job_id
UNION ALL
-- Of a sweep as a whole.
SELECT events.at_us, NULL, events.sweep_id, events.attempt, events.event, events.state, events.who, events.message
FROM events
WHERE events.job_id IS NULL;
