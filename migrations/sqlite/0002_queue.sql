-- A queue with control, dependencies, placement and history. Views are made anew at the end.

ALTER TABLE sweeps ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
-- The circuit breaker: more failed and quarantined jobs than this pause the sweep; NULL for none.
ALTER TABLE sweeps ADD COLUMN max_failed_jobs INTEGER;
ALTER TABLE sweeps ADD COLUMN state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'cancelled'));
-- Why it is paused or cancelled.
ALTER TABLE sweeps ADD COLUMN note TEXT NOT NULL DEFAULT '';
-- Failed and quarantined jobs that somebody has seen and gone on in spite of; the breaker counts from here.
ALTER TABLE sweeps ADD COLUMN n_forgiven INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sweeps ADD COLUMN submitted_by TEXT NOT NULL DEFAULT '';

-- 1 where the job had its result when the sweep was submitted.
ALTER TABLE sweep_jobs ADD COLUMN reused INTEGER NOT NULL DEFAULT 0 CHECK (reused IN (0, 1));

-- What slots of the worker offer. No device and no memory: not known. Datasets: a JSON array of names, or "*" for any.
ALTER TABLE sessions ADD COLUMN device TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN memory_mib INTEGER;
ALTER TABLE sessions ADD COLUMN datasets TEXT NOT NULL DEFAULT '"*"';
ALTER TABLE sessions ADD COLUMN labels TEXT NOT NULL DEFAULT '[]';
-- 1: claims nothing more and ends after its running jobs; 2: gives them back.
ALTER TABLE sessions ADD COLUMN draining INTEGER NOT NULL DEFAULT 0 CHECK (draining IN (0, 1, 2));
CREATE INDEX sessions_worker ON sessions (worker) WHERE ended_us IS NULL;

-- What jobs need of a worker. Jobs that need the same share a row: a claim looks at a few rows of these, not at every job.
CREATE TABLE placements (
    id INTEGER PRIMARY KEY,
    -- Empty where any device will do.
    device TEXT NOT NULL,
    memory_mib INTEGER NOT NULL,
    dataset TEXT NOT NULL,
    -- JSON array, sorted.
    labels TEXT NOT NULL,
    -- All but the dataset, for tables.
    label TEXT NOT NULL,
    UNIQUE (device, memory_mib, dataset, labels)
) STRICT;
INSERT INTO placements (device, memory_mib, dataset, labels, label)
SELECT DISTINCT '', 0, jobs.dataset, '[]', '-' FROM jobs;

CREATE TABLE new_job_states (
    job_id INTEGER PRIMARY KEY REFERENCES jobs (id),
    state TEXT NOT NULL
        CHECK (state IN ('blocked', 'queued', 'leased', 'succeeded', 'failed', 'diverged', 'quarantined', 'cancelled')),
    -- Number of the newest attempt, 0 before the first. It only grows, and fences every report.
    attempt INTEGER NOT NULL,
    n_failures INTEGER NOT NULL,
    -- The attempt after which failures were last forgotten: crashes up to it do not count for quarantine.
    forgiven_attempt INTEGER NOT NULL,
    -- Not to be claimed before; 0 once that is past, so that the index of claimable jobs holds no other.
    not_before_us INTEGER NOT NULL,
    -- The active sweep for whose sake the job is handed out: the one of the highest priority. NULL while all its sweeps are paused or cancelled.
    sponsor_id INTEGER REFERENCES sweeps (id),
    placement_id INTEGER NOT NULL REFERENCES placements (id),
    -- The sponsor's priority plus the job's own.
    priority INTEGER NOT NULL,
    own_priority INTEGER NOT NULL,
    -- Place in the order of claims among jobs of one priority. Each sweep's jobs count up from where the queue stood when they came,
    -- so that sweeps of one priority take turns.
    turn INTEGER NOT NULL,
    session_id INTEGER REFERENCES sessions (id),
    lease_until_us INTEGER,
    finished_us INTEGER,
    -- What the last failure said; empty without one, and after success.
    error TEXT NOT NULL,
    CHECK ((state = 'leased') = (session_id IS NOT NULL)),
    CHECK ((state = 'leased') = (lease_until_us IS NOT NULL)),
    CHECK ((state IN ('succeeded', 'failed', 'diverged', 'quarantined', 'cancelled')) = (finished_us IS NOT NULL))
) STRICT;
INSERT INTO new_job_states (
    job_id, state, attempt, n_failures, forgiven_attempt, not_before_us, sponsor_id, placement_id, priority, own_priority, turn,
    session_id, lease_until_us, finished_us, error
)
SELECT
    job_states.job_id, job_states.state, job_states.attempt, job_states.n_failures, 0,
    CASE WHEN job_states.state = 'queued' THEN job_states.not_before_us ELSE 0 END,
    (SELECT min(sweep_jobs.sweep_id) FROM sweep_jobs WHERE sweep_jobs.job_id = job_states.job_id),
    placements.id, 0, 0, job_states.job_id,
    job_states.session_id, job_states.lease_until_us, job_states.finished_us, job_states.error
FROM job_states
JOIN jobs ON jobs.id = job_states.job_id
JOIN placements ON placements.dataset = jobs.dataset;
DROP VIEW v_patterns;
DROP VIEW v_frontier;
DROP VIEW v_operating_points;
DROP VIEW v_exits;
DROP VIEW v_attempts;
DROP VIEW v_jobs;
DROP VIEW v_sweep_jobs;
DROP VIEW v_sweeps;
DROP TABLE job_states;
ALTER TABLE new_job_states RENAME TO job_states;
-- What may be claimed, in the order of claims.
CREATE INDEX job_states_claim ON job_states (placement_id, priority DESC, turn, job_id)
    WHERE state = 'queued' AND not_before_us = 0 AND sponsor_id IS NOT NULL;
CREATE INDEX job_states_waiting ON job_states (not_before_us) WHERE state = 'queued' AND not_before_us > 0;
CREATE INDEX job_states_lease ON job_states (lease_until_us) WHERE state = 'leased';
CREATE INDEX job_states_session ON job_states (session_id) WHERE state = 'leased';

CREATE TABLE new_attempts (
    job_id INTEGER NOT NULL REFERENCES jobs (id),
    attempt INTEGER NOT NULL,
    session_id INTEGER NOT NULL REFERENCES sessions (id),
    outcome TEXT NOT NULL CHECK (outcome IN (
        'running', 'succeeded', 'failed', 'diverged', 'out-of-memory', 'crashed', 'timed-out', 'lost', 'preempted', 'cancelled'
    )),
    -- Where the job stood after it; empty while it runs.
    state TEXT NOT NULL,
    message TEXT NOT NULL,
    leased_us INTEGER NOT NULL,
    ended_us INTEGER,
    PRIMARY KEY (job_id, attempt),
    CHECK ((outcome = 'running') = (ended_us IS NULL)),
    CHECK ((outcome = 'running') = (state = ''))
) STRICT;
INSERT INTO new_attempts (job_id, attempt, session_id, outcome, state, message, leased_us, ended_us)
SELECT
    attempts.job_id, attempts.attempt, attempts.session_id,
    CASE WHEN attempts.outcome = 'released' THEN 'preempted' ELSE attempts.outcome END,
    CASE
        WHEN attempts.outcome = 'running' THEN ''
        WHEN attempts.attempt = job_states.attempt AND job_states.state <> 'leased' THEN job_states.state
        ELSE 'queued'
    END,
    attempts.message, attempts.leased_us, attempts.ended_us
FROM attempts
JOIN job_states ON job_states.job_id = attempts.job_id;
DROP TABLE attempts;
ALTER TABLE new_attempts RENAME TO attempts;

-- Jobs that wait for other jobs' results.
CREATE TABLE job_dependencies (
    job_id INTEGER NOT NULL REFERENCES jobs (id),
    waits_for_id INTEGER NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (job_id, waits_for_id)
) STRICT;
CREATE INDEX job_dependencies_waits_for ON job_dependencies (waits_for_id);

-- What happened to jobs and sweeps besides attempts, which have a table of their own. The view v_events has it all.
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    -- Of a job, or of a sweep as a whole.
    job_id INTEGER REFERENCES jobs (id),
    sweep_id INTEGER REFERENCES sweeps (id),
    attempt INTEGER NOT NULL,
    event TEXT NOT NULL,
    -- Where the job or the sweep stood after it.
    state TEXT NOT NULL,
    who TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT;
CREATE INDEX events_job ON events (job_id) WHERE job_id IS NOT NULL;

CREATE VIEW v_sweeps AS
WITH counts AS (
    SELECT
        sweep_jobs.sweep_id AS sweep_id,
        count(CASE WHEN job_states.state = 'blocked' THEN 1 END) AS n_blocked,
        count(CASE WHEN job_states.state = 'queued' THEN 1 END) AS n_queued,
        count(CASE WHEN job_states.state = 'leased' THEN 1 END) AS n_leased,
        count(CASE WHEN job_states.state = 'succeeded' THEN 1 END) AS n_succeeded,
        count(CASE WHEN job_states.state = 'failed' THEN 1 END) AS n_failed,
        count(CASE WHEN job_states.state = 'diverged' THEN 1 END) AS n_diverged,
        count(CASE WHEN job_states.state = 'quarantined' THEN 1 END) AS n_quarantined,
        count(CASE WHEN job_states.state = 'cancelled' THEN 1 END) AS n_cancelled,
        count(CASE WHEN sweep_jobs.reused = 1 THEN 1 END) AS n_reused
    FROM sweep_jobs
    JOIN job_states ON job_states.job_id = sweep_jobs.job_id
    GROUP BY sweep_jobs.sweep_id
)
SELECT
    sweeps.id AS sweep,
    sweeps.name AS name,
    CASE
        WHEN sweeps.state = 'cancelled' THEN 'cancelled'
        WHEN counts.n_blocked + counts.n_queued + counts.n_leased = 0 THEN 'finished'
        WHEN sweeps.state = 'paused' THEN 'paused'
        ELSE 'running'
    END AS state,
    sweeps.priority AS priority,
    sweeps.created_us AS created_us,
    sweeps.n_jobs AS n_jobs,
    counts.n_blocked AS n_blocked,
    counts.n_queued AS n_queued,
    counts.n_leased AS n_leased,
    counts.n_succeeded AS n_succeeded,
    counts.n_failed AS n_failed,
    counts.n_diverged AS n_diverged,
    counts.n_quarantined AS n_quarantined,
    counts.n_cancelled AS n_cancelled,
    counts.n_reused AS n_reused,
    sweeps.note AS note
FROM sweeps
JOIN counts ON counts.sweep_id = sweeps.id;

CREATE VIEW v_sweep_jobs AS
SELECT
    sweep_jobs.sweep_id AS sweep,
    sweep_jobs.position AS position,
    substr(jobs.key, 1, 12) AS job,
    sweep_jobs.reused AS reused
FROM sweep_jobs
JOIN jobs ON jobs.id = sweep_jobs.job_id;

CREATE VIEW v_jobs AS
SELECT
    substr(jobs.key, 1, 12) AS job,
    jobs.key AS job_key,
    job_states.state AS state,
    jobs.backbone AS backbone,
    jobs.dataset AS dataset,
    jobs.pattern AS pattern,
    jobs.exits AS exits,
    jobs.budget AS budget,
    jobs.recipe AS recipe,
    jobs.seed AS seed,
    jobs.branch_rule AS branch_rule,
    jobs.backbone_macs AS backbone_macs,
    jobs.budget_macs AS budget_macs,
    jobs.branch_macs AS branch_macs,
    CASE
        WHEN jobs.budget_macs = 0 THEN 0.0
        ELSE CAST(jobs.branch_macs - jobs.budget_macs AS DOUBLE PRECISION) / jobs.budget_macs
    END AS budget_error,
    jobs.params AS params,
    placements.label AS requirements,
    job_states.priority AS priority,
    job_states.attempt AS attempt,
    job_states.n_failures AS n_failures,
    CASE WHEN job_states.state = 'queued' AND job_states.not_before_us > 0 THEN job_states.not_before_us END AS not_before_us,
    results.final_accuracy AS final_accuracy,
    results.best_accuracy AS best_accuracy,
    results.area AS area,
    results.train_seconds AS train_seconds,
    results.trainer AS trainer,
    jobs.created_us AS created_us,
    job_states.finished_us AS finished_us,
    job_states.error AS error
FROM jobs
JOIN job_states ON job_states.job_id = jobs.id
JOIN placements ON placements.id = job_states.placement_id
LEFT JOIN results ON results.job_id = jobs.id;

CREATE VIEW v_attempts AS
SELECT
    substr(jobs.key, 1, 12) AS job,
    attempts.attempt AS attempt,
    sessions.worker AS worker,
    attempts.outcome AS outcome,
    attempts.state AS state,
    attempts.message AS message,
    attempts.leased_us AS leased_us,
    attempts.ended_us AS ended_us
FROM attempts
JOIN jobs ON jobs.id = attempts.job_id
JOIN sessions ON sessions.id = attempts.session_id;

CREATE VIEW v_dependencies AS
SELECT
    substr(jobs.key, 1, 12) AS job,
    substr(awaited.key, 1, 12) AS waits_for
FROM job_dependencies
JOIN jobs ON jobs.id = job_dependencies.job_id
JOIN jobs AS awaited ON awaited.id = job_dependencies.waits_for_id;

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
FROM sessions;

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
UNION ALL
SELECT
    attempts.ended_us, substr(jobs.key, 1, 12), NULL, attempts.attempt, attempts.outcome, attempts.state,
    CASE WHEN attempts.outcome = 'lost' THEN 'coordinator' ELSE sessions.worker END,
    attempts.message
FROM attempts
JOIN jobs ON jobs.id = attempts.job_id
JOIN sessions ON sessions.id = attempts.session_id
-- Who cancelled an attempt, and why, is an event of its own.
WHERE attempts.outcome NOT IN ('running', 'cancelled')
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

CREATE VIEW v_exits AS
SELECT
    substr(jobs.key, 1, 12) AS job,
    exits.exit AS exit,
    exits.is_final AS is_final,
    exits.unit AS unit,
    exits.branch_depth AS branch_depth,
    exits.branch_width AS branch_width,
    exits.backbone_macs AS backbone_macs,
    exits.branch_macs AS branch_macs,
    exits.branch_params AS branch_params,
    exits.macs_cascade AS macs_cascade,
    exits.macs_selected AS macs_selected,
    exit_results.accuracy AS accuracy,
    exit_results.loss AS loss,
    exit_results.calibration_accuracy AS calibration_accuracy,
    jobs.backbone AS backbone,
    jobs.dataset AS dataset,
    jobs.pattern AS pattern,
    jobs.seed AS seed
FROM exit_results
JOIN exits ON exits.job_id = exit_results.job_id AND exits.exit = exit_results.exit
JOIN jobs ON jobs.id = exit_results.job_id;

CREATE VIEW v_operating_points AS
SELECT
    substr(jobs.key, 1, 12) AS job,
    operating_points.policy AS policy,
    operating_points.setting AS setting,
    operating_points.macs_cascade AS macs_cascade,
    operating_points.macs_selected AS macs_selected,
    operating_points.accuracy AS accuracy,
    operating_points.calibration_accuracy AS calibration_accuracy,
    operating_points.calibration_macs_cascade AS calibration_macs_cascade,
    operating_points.exit_shares AS exit_shares,
    jobs.backbone AS backbone,
    jobs.dataset AS dataset,
    jobs.pattern AS pattern,
    jobs.seed AS seed
FROM operating_points
JOIN jobs ON jobs.id = operating_points.job_id;

CREATE VIEW v_frontier AS
SELECT
    frontier.sweep_id AS sweep,
    frontier.dataset AS dataset,
    frontier.cost_metric AS cost_metric,
    CASE WHEN frontier.cost_metric = 'macs_cascade' THEN operating_points.macs_cascade ELSE operating_points.macs_selected END AS cost,
    operating_points.accuracy AS accuracy,
    jobs.backbone AS backbone,
    jobs.pattern AS pattern,
    jobs.exits AS exits,
    jobs.budget AS budget,
    jobs.recipe AS recipe,
    jobs.seed AS seed,
    operating_points.policy AS policy,
    operating_points.setting AS setting,
    substr(jobs.key, 1, 12) AS job
FROM frontier
JOIN operating_points ON operating_points.job_id = frontier.job_id AND operating_points.point = frontier.point
JOIN jobs ON jobs.id = frontier.job_id;

-- One row a cell over its finished seeds. Square roots are taken by Newton's method, because a reader's SQLite may come without sqrt():
-- started above the root it falls towards it, and 64 steps reach any deviation above 2^-58.
CREATE VIEW v_patterns AS
WITH members AS (
    SELECT
        sweep_jobs.sweep_id AS sweep_id,
        jobs.cell AS cell,
        results.area AS area,
        results.final_accuracy AS final_accuracy,
        sweep_jobs.job_id AS job_id
    FROM sweep_jobs
    JOIN jobs ON jobs.id = sweep_jobs.job_id
    JOIN results ON results.job_id = sweep_jobs.job_id
),
cells AS (
    SELECT
        sweep_id,
        cell,
        count(*) AS n_seeds,
        avg(area) AS area_mean,
        avg(final_accuracy) AS final_accuracy_mean,
        -- Any member: they differ in nothing but the seed.
        min(job_id) AS job_id
    FROM members
    GROUP BY sweep_id, cell
),
spreads AS (
    SELECT
        cells.sweep_id AS sweep_id,
        cells.cell AS cell,
        sum((members.area - cells.area_mean) * (members.area - cells.area_mean)) / nullif(cells.n_seeds - 1, 0) AS area_variance,
        sum((members.final_accuracy - cells.final_accuracy_mean) * (members.final_accuracy - cells.final_accuracy_mean))
            / nullif(cells.n_seeds - 1, 0) AS final_accuracy_variance
    FROM cells
    JOIN members ON members.sweep_id = cells.sweep_id AND members.cell = cells.cell
    GROUP BY cells.sweep_id, cells.cell, cells.n_seeds
)
SELECT
    cells.sweep_id AS sweep,
    jobs.backbone AS backbone,
    jobs.dataset AS dataset,
    jobs.exits AS exits,
    jobs.budget AS budget,
    jobs.recipe AS recipe,
    jobs.pattern AS pattern,
    cells.n_seeds AS n_seeds,
    cells.area_mean AS area_mean,
    CASE WHEN spreads.area_variance > 0 THEN (
        WITH RECURSIVE newton (step, root) AS (
            SELECT 0, 1.0
            UNION ALL
            SELECT step + 1, (root + spreads.area_variance / root) / 2 FROM newton WHERE step < 64
        )
        SELECT root FROM newton WHERE step = 64
    ) ELSE spreads.area_variance END AS area_deviation,
    cells.final_accuracy_mean AS final_accuracy_mean,
    CASE WHEN spreads.final_accuracy_variance > 0 THEN (
        WITH RECURSIVE newton (step, root) AS (
            SELECT 0, 1.0
            UNION ALL
            SELECT step + 1, (root + spreads.final_accuracy_variance / root) / 2 FROM newton WHERE step < 64
        )
        SELECT root FROM newton WHERE step = 64
    ) ELSE spreads.final_accuracy_variance END AS final_accuracy_deviation,
    CASE
        WHEN jobs.budget_macs = 0 THEN 0.0
        ELSE CAST(jobs.branch_macs - jobs.budget_macs AS DOUBLE PRECISION) / jobs.budget_macs
    END AS budget_error,
    jobs.branch_macs AS branch_macs,
    jobs.backbone_macs AS backbone_macs
FROM cells
JOIN spreads ON spreads.sweep_id = cells.sweep_id AND spreads.cell = cells.cell
JOIN jobs ON jobs.id = cells.job_id;
