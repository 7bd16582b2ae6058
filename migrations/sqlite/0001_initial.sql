-- The first schema. Times are unix microseconds, UTC. Doubles that are not finite are never stored.
-- The v_ views at the end are the public interface: their columns keep their meaning within a major version.

-- Submitted sweep files.
CREATE TABLE sweeps (
    id INTEGER PRIMARY KEY,
    -- Hash of the expanded content; submitting it again finds this row.
    key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    -- The file, verbatim.
    text TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    n_jobs INTEGER NOT NULL
) STRICT;
CREATE INDEX sweeps_name ON sweeps (name);

-- What is to be done: never changes once written. The same work has one row, however many sweeps ask for it.
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    -- Hash of the canonical configuration, 32 hexadecimal digits.
    key TEXT NOT NULL UNIQUE,
    -- The canonical configuration, JSON.
    config TEXT NOT NULL,
    -- The key that this configuration has with seed 0: what seeds are repetitions of.
    cell TEXT NOT NULL,
    backbone TEXT NOT NULL,
    dataset TEXT NOT NULL,
    pattern TEXT NOT NULL,
    exits TEXT NOT NULL,
    budget TEXT NOT NULL,
    recipe TEXT NOT NULL,
    -- Bits of an unsigned number: negative from 2^63 on, which no sweep file can say.
    seed INTEGER NOT NULL,
    branch_rule TEXT NOT NULL CHECK (branch_rule IN ('levels', 'width', 'none')),
    backbone_macs INTEGER NOT NULL,
    budget_macs INTEGER NOT NULL,
    branch_macs INTEGER NOT NULL,
    params INTEGER NOT NULL,
    n_classes INTEGER NOT NULL,
    created_us INTEGER NOT NULL
) STRICT;
-- The id that the views call `job`, so that they can be joined and searched by it.
CREATE INDEX jobs_job ON jobs (substr(key, 1, 12));

-- The exits of a job's network and what they cost, known before anything is trained.
CREATE TABLE exits (
    job_id INTEGER NOT NULL REFERENCES jobs (id),
    exit INTEGER NOT NULL,
    is_final INTEGER NOT NULL CHECK (is_final IN (0, 1)),
    unit INTEGER NOT NULL,
    branch_depth INTEGER NOT NULL,
    branch_width INTEGER NOT NULL,
    backbone_macs INTEGER NOT NULL,
    branch_macs INTEGER NOT NULL,
    branch_params INTEGER NOT NULL,
    macs_cascade INTEGER NOT NULL,
    macs_selected INTEGER NOT NULL,
    PRIMARY KEY (job_id, exit)
) STRICT;

-- The jobs of each sweep, in the sweep's order. A job may be in many sweeps.
CREATE TABLE sweep_jobs (
    sweep_id INTEGER NOT NULL REFERENCES sweeps (id),
    position INTEGER NOT NULL,
    job_id INTEGER NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (sweep_id, position),
    UNIQUE (sweep_id, job_id)
) STRICT;
CREATE INDEX sweep_jobs_job ON sweep_jobs (job_id);

-- Workers' sessions.
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    worker TEXT NOT NULL,
    version TEXT NOT NULL,
    trainer TEXT NOT NULL,
    n_slots INTEGER NOT NULL,
    -- 1 where the worker lives in the coordinator's own process and dies with it.
    embedded INTEGER NOT NULL CHECK (embedded IN (0, 1)),
    opened_us INTEGER NOT NULL,
    seen_us INTEGER NOT NULL,
    ended_us INTEGER
) STRICT;
CREATE INDEX sessions_open ON sessions (seen_us) WHERE ended_us IS NULL;

-- Where each job stands; apart from `jobs` because it is the only part that changes, and narrow for that reason.
CREATE TABLE job_states (
    job_id INTEGER PRIMARY KEY REFERENCES jobs (id),
    state TEXT NOT NULL CHECK (state IN ('queued', 'leased', 'succeeded', 'failed', 'diverged')),
    -- Number of the newest attempt, 0 before the first. It only grows, and fences every report.
    attempt INTEGER NOT NULL,
    n_failures INTEGER NOT NULL,
    -- Not to be claimed before.
    not_before_us INTEGER NOT NULL,
    session_id INTEGER REFERENCES sessions (id),
    lease_until_us INTEGER,
    finished_us INTEGER,
    -- What the last failure said; empty without one, and after success.
    error TEXT NOT NULL,
    CHECK ((state = 'leased') = (session_id IS NOT NULL)),
    CHECK ((state = 'leased') = (lease_until_us IS NOT NULL)),
    CHECK ((state IN ('succeeded', 'failed', 'diverged')) = (finished_us IS NOT NULL))
) STRICT;
CREATE INDEX job_states_queued ON job_states (job_id) WHERE state = 'queued';
CREATE INDEX job_states_lease ON job_states (lease_until_us) WHERE state = 'leased';
CREATE INDEX job_states_session ON job_states (session_id) WHERE state = 'leased';

-- Every try at every job.
CREATE TABLE attempts (
    job_id INTEGER NOT NULL REFERENCES jobs (id),
    attempt INTEGER NOT NULL,
    session_id INTEGER NOT NULL REFERENCES sessions (id),
    outcome TEXT NOT NULL
        CHECK (outcome IN ('running', 'succeeded', 'failed', 'diverged', 'out-of-memory', 'lost', 'released')),
    message TEXT NOT NULL,
    leased_us INTEGER NOT NULL,
    ended_us INTEGER,
    PRIMARY KEY (job_id, attempt),
    CHECK ((outcome = 'running') = (ended_us IS NULL))
) STRICT;

-- Finished epochs, as far as heartbeats told of them: one that ends between two heartbeats may be missing.
CREATE TABLE epochs (
    job_id INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    -- NULL where it was not finite.
    loss REAL,
    -- JSON array, side exits first, the final exit last.
    exit_accuracy TEXT NOT NULL,
    images_per_second REAL NOT NULL,
    PRIMARY KEY (job_id, attempt, epoch),
    FOREIGN KEY (job_id, attempt) REFERENCES attempts (job_id, attempt)
) STRICT;

-- The one accepted result of a job.
CREATE TABLE results (
    job_id INTEGER PRIMARY KEY REFERENCES jobs (id),
    attempt INTEGER NOT NULL,
    trainer TEXT NOT NULL,
    n_train INTEGER NOT NULL,
    n_calibration INTEGER NOT NULL,
    n_test INTEGER NOT NULL,
    train_seconds REAL NOT NULL,
    final_accuracy REAL NOT NULL,
    -- Of the most accurate exit.
    best_accuracy REAL NOT NULL,
    -- Under accuracy-vs-MACs, 0 to 1.
    area REAL NOT NULL,
    FOREIGN KEY (job_id, attempt) REFERENCES attempts (job_id, attempt)
) STRICT;

CREATE TABLE exit_results (
    job_id INTEGER NOT NULL REFERENCES results (job_id),
    exit INTEGER NOT NULL,
    accuracy REAL NOT NULL,
    loss REAL NOT NULL,
    calibration_accuracy REAL NOT NULL,
    calibration_loss REAL NOT NULL,
    PRIMARY KEY (job_id, exit),
    FOREIGN KEY (job_id, exit) REFERENCES exits (job_id, exit)
) STRICT;

CREATE TABLE operating_points (
    job_id INTEGER NOT NULL REFERENCES results (job_id),
    -- Its place in the result, from 0.
    point INTEGER NOT NULL,
    policy TEXT NOT NULL,
    setting REAL NOT NULL,
    macs_cascade REAL NOT NULL,
    macs_selected REAL NOT NULL,
    accuracy REAL NOT NULL,
    calibration_accuracy REAL NOT NULL,
    calibration_macs_cascade REAL NOT NULL,
    -- JSON array, side exits first, the final exit last.
    exit_shares TEXT NOT NULL,
    PRIMARY KEY (job_id, point)
) STRICT;

-- The non-dominated operating points of each sweep and dataset, under each cost metric. Written in the transaction that accepts a result.
CREATE TABLE frontier (
    sweep_id INTEGER NOT NULL REFERENCES sweeps (id),
    dataset TEXT NOT NULL,
    cost_metric TEXT NOT NULL CHECK (cost_metric IN ('macs_cascade', 'macs_selected')),
    job_id INTEGER NOT NULL,
    point INTEGER NOT NULL,
    PRIMARY KEY (sweep_id, dataset, cost_metric, job_id, point),
    FOREIGN KEY (job_id, point) REFERENCES operating_points (job_id, point)
) STRICT;

CREATE VIEW v_sweeps AS
SELECT
    sweeps.id AS sweep,
    sweeps.name AS name,
    CASE WHEN count(CASE WHEN job_states.state IN ('queued', 'leased') THEN 1 END) > 0 THEN 'running' ELSE 'finished' END AS state,
    sweeps.created_us AS created_us,
    sweeps.n_jobs AS n_jobs,
    count(CASE WHEN job_states.state = 'queued' THEN 1 END) AS n_queued,
    count(CASE WHEN job_states.state = 'leased' THEN 1 END) AS n_leased,
    count(CASE WHEN job_states.state = 'succeeded' THEN 1 END) AS n_succeeded,
    count(CASE WHEN job_states.state = 'failed' THEN 1 END) AS n_failed,
    count(CASE WHEN job_states.state = 'diverged' THEN 1 END) AS n_diverged
FROM sweeps
LEFT JOIN sweep_jobs ON sweep_jobs.sweep_id = sweeps.id
LEFT JOIN job_states ON job_states.job_id = sweep_jobs.job_id
GROUP BY sweeps.id;

CREATE VIEW v_sweep_jobs AS
SELECT
    sweep_jobs.sweep_id AS sweep,
    sweep_jobs.position AS position,
    substr(jobs.key, 1, 12) AS job
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
    CASE WHEN jobs.budget_macs = 0 THEN 0.0 ELSE 1.0 * (jobs.branch_macs - jobs.budget_macs) / jobs.budget_macs END AS budget_error,
    jobs.params AS params,
    job_states.attempt AS attempt,
    job_states.n_failures AS n_failures,
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
LEFT JOIN results ON results.job_id = jobs.id;

CREATE VIEW v_attempts AS
SELECT
    substr(jobs.key, 1, 12) AS job,
    attempts.attempt AS attempt,
    sessions.worker AS worker,
    attempts.outcome AS outcome,
    attempts.message AS message,
    attempts.leased_us AS leased_us,
    attempts.ended_us AS ended_us
FROM attempts
JOIN jobs ON jobs.id = attempts.job_id
JOIN sessions ON sessions.id = attempts.session_id;

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
    CASE WHEN jobs.budget_macs = 0 THEN 0.0 ELSE 1.0 * (jobs.branch_macs - jobs.budget_macs) / jobs.budget_macs END AS budget_error,
    jobs.branch_macs AS branch_macs,
    jobs.backbone_macs AS backbone_macs
FROM cells
JOIN spreads ON spreads.sweep_id = cells.sweep_id AND spreads.cell = cells.cell
JOIN jobs ON jobs.id = cells.job_id;
