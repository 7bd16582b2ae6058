-- The first schema, as migrations/sqlite has it under the same name, without its views: no PostgreSQL database was ever made of them.
-- Times are unix microseconds, UTC. Doubles that are not finite are never stored.

-- Submitted sweep files.
CREATE TABLE sweeps (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Hash of the expanded content; submitting it again finds this row.
    key TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    -- The file, verbatim.
    text TEXT COLLATE "C" NOT NULL,
    created_us BIGINT NOT NULL,
    n_jobs BIGINT NOT NULL
);
CREATE INDEX sweeps_name ON sweeps (name);

-- What is to be done: never changes once written. The same work has one row, however many sweeps ask for it.
CREATE TABLE jobs (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Hash of the canonical configuration, 32 hexadecimal digits.
    key TEXT COLLATE "C" NOT NULL UNIQUE,
    -- The canonical configuration, JSON.
    config TEXT COLLATE "C" NOT NULL,
    -- The key that this configuration has with seed 0: what seeds are repetitions of.
    cell TEXT COLLATE "C" NOT NULL,
    backbone TEXT COLLATE "C" NOT NULL,
    dataset TEXT COLLATE "C" NOT NULL,
    pattern TEXT COLLATE "C" NOT NULL,
    exits TEXT COLLATE "C" NOT NULL,
    budget TEXT COLLATE "C" NOT NULL,
    recipe TEXT COLLATE "C" NOT NULL,
    -- Bits of an unsigned number: negative from 2^63 on, which no sweep file can say.
    seed BIGINT NOT NULL,
    branch_rule TEXT COLLATE "C" NOT NULL CHECK (branch_rule IN ('levels', 'width', 'none')),
    backbone_macs BIGINT NOT NULL,
    budget_macs BIGINT NOT NULL,
    branch_macs BIGINT NOT NULL,
    params BIGINT NOT NULL,
    n_classes BIGINT NOT NULL,
    created_us BIGINT NOT NULL
);
-- The id that the views call `job`, so that they can be joined and searched by it.
CREATE INDEX jobs_job ON jobs (substr(key, 1, 12));

-- The exits of a job's network and what they cost, known before anything is trained.
CREATE TABLE exits (
    job_id BIGINT NOT NULL REFERENCES jobs (id),
    exit BIGINT NOT NULL,
    is_final BIGINT NOT NULL CHECK (is_final IN (0, 1)),
    unit BIGINT NOT NULL,
    branch_depth BIGINT NOT NULL,
    branch_width BIGINT NOT NULL,
    backbone_macs BIGINT NOT NULL,
    branch_macs BIGINT NOT NULL,
    branch_params BIGINT NOT NULL,
    macs_cascade BIGINT NOT NULL,
    macs_selected BIGINT NOT NULL,
    PRIMARY KEY (job_id, exit)
);

-- The jobs of each sweep, in the sweep's order. A job may be in many sweeps.
CREATE TABLE sweep_jobs (
    sweep_id BIGINT NOT NULL REFERENCES sweeps (id),
    position BIGINT NOT NULL,
    job_id BIGINT NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (sweep_id, position),
    UNIQUE (sweep_id, job_id)
);
CREATE INDEX sweep_jobs_job ON sweep_jobs (job_id);

-- Workers' sessions.
CREATE TABLE sessions (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    worker TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    trainer TEXT COLLATE "C" NOT NULL,
    n_slots BIGINT NOT NULL,
    -- 1 where the worker lives in the coordinator's own process and dies with it.
    embedded BIGINT NOT NULL CHECK (embedded IN (0, 1)),
    opened_us BIGINT NOT NULL,
    seen_us BIGINT NOT NULL,
    ended_us BIGINT
);
CREATE INDEX sessions_open ON sessions (seen_us) WHERE ended_us IS NULL;

-- Where each job stands; apart from `jobs` because it is the only part that changes, and narrow for that reason.
CREATE TABLE job_states (
    job_id BIGINT PRIMARY KEY REFERENCES jobs (id),
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('queued', 'leased', 'succeeded', 'failed', 'diverged')),
    -- Number of the newest attempt, 0 before the first. It only grows, and fences every report.
    attempt BIGINT NOT NULL,
    n_failures BIGINT NOT NULL,
    -- Not to be claimed before.
    not_before_us BIGINT NOT NULL,
    session_id BIGINT REFERENCES sessions (id),
    lease_until_us BIGINT,
    finished_us BIGINT,
    -- What the last failure said; empty without one, and after success.
    error TEXT COLLATE "C" NOT NULL,
    CHECK ((state = 'leased') = (session_id IS NOT NULL)),
    CHECK ((state = 'leased') = (lease_until_us IS NOT NULL)),
    CHECK ((state IN ('succeeded', 'failed', 'diverged')) = (finished_us IS NOT NULL))
);
CREATE INDEX job_states_queued ON job_states (job_id) WHERE state = 'queued';
CREATE INDEX job_states_lease ON job_states (lease_until_us) WHERE state = 'leased';
CREATE INDEX job_states_session ON job_states (session_id) WHERE state = 'leased';

-- Every try at every job.
CREATE TABLE attempts (
    job_id BIGINT NOT NULL REFERENCES jobs (id),
    attempt BIGINT NOT NULL,
    session_id BIGINT NOT NULL REFERENCES sessions (id),
    outcome TEXT COLLATE "C" NOT NULL
        CHECK (outcome IN ('running', 'succeeded', 'failed', 'diverged', 'out-of-memory', 'lost', 'released')),
    message TEXT COLLATE "C" NOT NULL,
    leased_us BIGINT NOT NULL,
    ended_us BIGINT,
    PRIMARY KEY (job_id, attempt),
    CHECK ((outcome = 'running') = (ended_us IS NULL))
);

-- Finished epochs, as far as heartbeats told of them: one that ends between two heartbeats may be missing.
CREATE TABLE epochs (
    job_id BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    -- NULL where it was not finite.
    loss DOUBLE PRECISION,
    -- JSON array, side exits first, the final exit last.
    exit_accuracy TEXT COLLATE "C" NOT NULL,
    images_per_second DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (job_id, attempt, epoch),
    FOREIGN KEY (job_id, attempt) REFERENCES attempts (job_id, attempt)
);

-- The one accepted result of a job.
CREATE TABLE results (
    job_id BIGINT PRIMARY KEY REFERENCES jobs (id),
    attempt BIGINT NOT NULL,
    trainer TEXT COLLATE "C" NOT NULL,
    n_train BIGINT NOT NULL,
    n_calibration BIGINT NOT NULL,
    n_test BIGINT NOT NULL,
    train_seconds DOUBLE PRECISION NOT NULL,
    final_accuracy DOUBLE PRECISION NOT NULL,
    -- Of the most accurate exit.
    best_accuracy DOUBLE PRECISION NOT NULL,
    -- Under accuracy-vs-MACs, 0 to 1.
    area DOUBLE PRECISION NOT NULL,
    FOREIGN KEY (job_id, attempt) REFERENCES attempts (job_id, attempt)
);

CREATE TABLE exit_results (
    job_id BIGINT NOT NULL REFERENCES results (job_id),
    exit BIGINT NOT NULL,
    accuracy DOUBLE PRECISION NOT NULL,
    loss DOUBLE PRECISION NOT NULL,
    calibration_accuracy DOUBLE PRECISION NOT NULL,
    calibration_loss DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (job_id, exit),
    FOREIGN KEY (job_id, exit) REFERENCES exits (job_id, exit)
);

CREATE TABLE operating_points (
    job_id BIGINT NOT NULL REFERENCES results (job_id),
    -- Its place in the result, from 0.
    point BIGINT NOT NULL,
    policy TEXT COLLATE "C" NOT NULL,
    setting DOUBLE PRECISION NOT NULL,
    macs_cascade DOUBLE PRECISION NOT NULL,
    macs_selected DOUBLE PRECISION NOT NULL,
    accuracy DOUBLE PRECISION NOT NULL,
    calibration_accuracy DOUBLE PRECISION NOT NULL,
    calibration_macs_cascade DOUBLE PRECISION NOT NULL,
    -- JSON array, side exits first, the final exit last.
    exit_shares TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (job_id, point)
);

-- The non-dominated operating points of each sweep and dataset, under each cost metric. Written in the transaction that accepts a result.
CREATE TABLE frontier (
    sweep_id BIGINT NOT NULL REFERENCES sweeps (id),
    dataset TEXT COLLATE "C" NOT NULL,
    cost_metric TEXT COLLATE "C" NOT NULL CHECK (cost_metric IN ('macs_cascade', 'macs_selected')),
    job_id BIGINT NOT NULL,
    point BIGINT NOT NULL,
    PRIMARY KEY (sweep_id, dataset, cost_metric, job_id, point),
    FOREIGN KEY (job_id, point) REFERENCES operating_points (job_id, point)
);
