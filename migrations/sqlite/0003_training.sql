-- What is particular to training a network with several exits, apart from the recipe so that it can be asked for. Jobs that were there before
-- were trained jointly, from labels alone, with all exits alike.
ALTER TABLE jobs ADD COLUMN regime TEXT NOT NULL DEFAULT 'joint';
ALTER TABLE jobs ADD COLUMN distill TEXT NOT NULL DEFAULT 'none';
ALTER TABLE jobs ADD COLUMN exit_weights TEXT NOT NULL DEFAULT 'equal';

DROP VIEW v_patterns;
DROP VIEW v_jobs;

-- The rules `joint`, which solves for depth and width at once, and `own`, for published branches as they are, are new. SQLite changes no constraint, so the column is made anew.
ALTER TABLE jobs ADD COLUMN rule TEXT NOT NULL DEFAULT 'none' CHECK (rule IN ('levels', 'width', 'joint', 'own', 'none'));
UPDATE jobs SET rule = branch_rule;
ALTER TABLE jobs DROP COLUMN branch_rule;
ALTER TABLE jobs RENAME COLUMN rule TO branch_rule;

-- A budget may count other than all MACs of the branches, so the error cannot be told from the two numbers of MACs any more.
ALTER TABLE jobs ADD COLUMN budget_error REAL NOT NULL DEFAULT 0.0;
UPDATE jobs SET budget_error = CAST(branch_macs - budget_macs AS DOUBLE PRECISION) / budget_macs WHERE budget_macs > 0;

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
    jobs.regime AS regime,
    jobs.distill AS distill,
    jobs.exit_weights AS exit_weights,
    jobs.seed AS seed,
    jobs.branch_rule AS branch_rule,
    jobs.backbone_macs AS backbone_macs,
    jobs.budget_macs AS budget_macs,
    jobs.branch_macs AS branch_macs,
    jobs.budget_error AS budget_error,
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
    jobs.budget_error AS budget_error,
    jobs.branch_macs AS branch_macs,
    jobs.backbone_macs AS backbone_macs
FROM cells
JOIN spreads ON spreads.sweep_id = cells.sweep_id AND spreads.cell = cells.cell
JOIN jobs ON jobs.id = cells.job_id;
