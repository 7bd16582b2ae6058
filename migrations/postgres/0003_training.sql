-- What is particular to training a network with several exits, apart from the recipe so that it can be asked for. Jobs that were there before
-- were trained jointly, from labels alone, with all exits alike.
ALTER TABLE jobs ADD COLUMN regime TEXT COLLATE "C" NOT NULL DEFAULT 'joint';
ALTER TABLE jobs ADD COLUMN distill TEXT COLLATE "C" NOT NULL DEFAULT 'none';
ALTER TABLE jobs ADD COLUMN exit_weights TEXT COLLATE "C" NOT NULL DEFAULT 'equal';

DROP VIEW v_patterns;
DROP VIEW v_jobs;

-- The rules `joint`, which solves for depth and width at once, and `own`, for published branches as they are, are new.
ALTER TABLE jobs DROP CONSTRAINT jobs_branch_rule_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_branch_rule_check CHECK (branch_rule IN ('levels', 'width', 'joint', 'own', 'none'));

-- A budget may count other than all MACs of the branches, so the error cannot be told from the two numbers of MACs any more.
ALTER TABLE jobs ADD COLUMN budget_error DOUBLE PRECISION NOT NULL DEFAULT 0.0;
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

-- One row a cell over its finished seeds.
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
    sqrt(spreads.area_variance) AS area_deviation,
    cells.final_accuracy_mean AS final_accuracy_mean,
    sqrt(spreads.final_accuracy_variance) AS final_accuracy_deviation,
    jobs.budget_error AS budget_error,
    jobs.branch_macs AS branch_macs,
    jobs.backbone_macs AS backbone_macs
FROM cells
JOIN spreads ON spreads.sweep_id = cells.sweep_id AND spreads.cell = cells.cell
JOIN jobs ON jobs.id = cells.job_id;
