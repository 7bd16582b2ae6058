-- Frontiers of several groupings and costs, of each sweep and of all results together, with their history. What the earlier table held follows
-- from the results, and is computed anew by the process that migrates (decision 0009).

DROP VIEW v_frontier;
DROP TABLE frontier;

-- One row a frontier: which points are compared, and by which cost.
CREATE TABLE frontier_groups (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- NULL: the results of all sweeps.
    sweep_id BIGINT REFERENCES sweeps (id),
    grouping TEXT COLLATE "C" NOT NULL CHECK (grouping IN ('dataset', 'backbone', 'pattern')),
    dataset TEXT COLLATE "C" NOT NULL,
    -- Empty where the grouping is another.
    backbone TEXT COLLATE "C" NOT NULL,
    -- The same.
    pattern TEXT COLLATE "C" NOT NULL,
    -- Empty unless the cost is measured: times of different trainers are not compared.
    trainer TEXT COLLATE "C" NOT NULL,
    cost_metric TEXT COLLATE "C" NOT NULL CHECK (cost_metric IN ('macs_cascade', 'macs_selected', 'params', 'latency_us')),
    -- Chance: 1 / number of classes.
    reference_accuracy DOUBLE PRECISION NOT NULL,
    CHECK ((backbone <> '') = (grouping = 'backbone')),
    CHECK ((pattern <> '') = (grouping = 'pattern')),
    CHECK ((trainer <> '') = (cost_metric = 'latency_us'))
);
-- A frontier is found by this, and there once; NULLs would not be equal.
CREATE UNIQUE INDEX frontier_groups_key
    ON frontier_groups (coalesce(sweep_id, 0), grouping, dataset, backbone, pattern, trainer, cost_metric);
CREATE INDEX frontier_groups_sweep ON frontier_groups (sweep_id, grouping, cost_metric);

-- Every operating point that is or was on a frontier, with what it is compared by.
CREATE TABLE frontier (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    group_id BIGINT NOT NULL REFERENCES frontier_groups (id),
    job_id BIGINT NOT NULL,
    point BIGINT NOT NULL,
    cost DOUBLE PRECISION NOT NULL,
    accuracy DOUBLE PRECISION NOT NULL,
    entered_us BIGINT NOT NULL,
    -- NULL while it is on the frontier.
    left_us BIGINT,
    -- The job of a point that dominates it; with that job's result, this row goes.
    displaced_by BIGINT,
    FOREIGN KEY (job_id, point) REFERENCES operating_points (job_id, point),
    CHECK ((left_us IS NULL) = (displaced_by IS NULL)),
    CHECK (left_us > entered_us)
);
-- The frontiers as they stand, in their order: an accepted point looks at its neighbours here.
CREATE INDEX frontier_standing ON frontier (group_id, cost, accuracy) WHERE left_us IS NULL;
CREATE INDEX frontier_group ON frontier (group_id);
CREATE INDEX frontier_point ON frontier (job_id, point);
CREATE INDEX frontier_displacing ON frontier (displaced_by) WHERE displaced_by IS NOT NULL;

-- What each frontier came to whenever points entered it.
CREATE TABLE frontier_advances (
    group_id BIGINT NOT NULL REFERENCES frontier_groups (id),
    at_us BIGINT NOT NULL,
    -- The area dominated up to the two references.
    hypervolume DOUBLE PRECISION NOT NULL,
    -- The least power of two that is not below any cost that was on the frontier until then.
    reference_cost DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (group_id, at_us)
);

-- One row. What coordinators remember of frontiers holds for as long as the number stays: frontiers get better except by removals.
CREATE TABLE frontier_upkeep (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    n_removals BIGINT NOT NULL,
    -- 0 until the frontiers of results that are older than these tables are computed.
    is_computed BIGINT NOT NULL CHECK (is_computed IN (0, 1))
);
INSERT INTO frontier_upkeep (id, n_removals, is_computed) VALUES (1, 0, 0);

-- The canonical configuration of each job: what it takes to run it again, and to know it elsewhere.
CREATE VIEW v_configs AS
SELECT
    substr(jobs.key, 1, 12) AS job,
    jobs.key AS job_key,
    jobs.config AS config
FROM jobs;

CREATE VIEW v_epochs AS
SELECT
    substr(jobs.key, 1, 12) AS job,
    epochs.attempt AS attempt,
    epochs.epoch AS epoch,
    epochs.loss AS loss,
    epochs.exit_accuracy AS exit_accuracy,
    epochs.images_per_second AS images_per_second
FROM epochs
JOIN jobs ON jobs.id = epochs.job_id;

CREATE VIEW v_frontier AS
SELECT
    frontier_groups.sweep_id AS sweep,
    frontier_groups.grouping AS grouping,
    frontier_groups.dataset AS dataset,
    results.trainer AS trainer,
    frontier_groups.cost_metric AS cost_metric,
    frontier.cost AS cost,
    frontier.accuracy AS accuracy,
    jobs.backbone AS backbone,
    jobs.pattern AS pattern,
    jobs.exits AS exits,
    jobs.budget AS budget,
    jobs.recipe AS recipe,
    jobs.seed AS seed,
    operating_points.policy AS policy,
    operating_points.setting AS setting,
    operating_points.latency_us AS latency_us,
    operating_points.images_per_second AS images_per_second,
    substr(jobs.key, 1, 12) AS job
FROM frontier_groups
JOIN frontier ON frontier.group_id = frontier_groups.id
JOIN results ON results.job_id = frontier.job_id
JOIN operating_points ON operating_points.job_id = frontier.job_id AND operating_points.point = frontier.point
JOIN jobs ON jobs.id = frontier.job_id
WHERE frontier.left_us IS NULL;

CREATE VIEW v_frontier_history AS
SELECT
    frontier_groups.sweep_id AS sweep,
    frontier_groups.grouping AS grouping,
    frontier_groups.dataset AS dataset,
    nullif(frontier_groups.backbone, '') AS backbone,
    nullif(frontier_groups.pattern, '') AS pattern,
    nullif(frontier_groups.trainer, '') AS trainer,
    frontier_groups.cost_metric AS cost_metric,
    frontier.cost AS cost,
    frontier.accuracy AS accuracy,
    substr(jobs.key, 1, 12) AS job,
    operating_points.policy AS policy,
    operating_points.setting AS setting,
    frontier.entered_us AS entered_us,
    frontier.left_us AS left_us,
    substr(displacing.key, 1, 12) AS displaced_by,
    frontier_advances.hypervolume AS hypervolume,
    frontier_advances.reference_cost AS reference_cost,
    frontier_groups.reference_accuracy AS reference_accuracy
FROM frontier_groups
JOIN frontier ON frontier.group_id = frontier_groups.id
JOIN frontier_advances ON frontier_advances.group_id = frontier.group_id AND frontier_advances.at_us = frontier.entered_us
JOIN operating_points ON operating_points.job_id = frontier.job_id AND operating_points.point = frontier.point
JOIN jobs ON jobs.id = frontier.job_id
LEFT JOIN jobs AS displacing ON displacing.id = frontier.displaced_by;
