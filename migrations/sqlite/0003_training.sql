-- What is particular to training a network with several exits, apart from the recipe so that it can be asked for. Jobs that were there before
-- were trained jointly, from labels alone, with all exits alike.
ALTER TABLE jobs ADD COLUMN regime TEXT NOT NULL DEFAULT 'joint';
ALTER TABLE jobs ADD COLUMN distill TEXT NOT NULL DEFAULT 'none';
ALTER TABLE jobs ADD COLUMN exit_weights TEXT NOT NULL DEFAULT 'equal';

DROP VIEW v_jobs;

-- The rule `joint`, which solves for depth and width at once, is new. SQLite changes no constraint, so the column is made anew.
ALTER TABLE jobs ADD COLUMN rule TEXT NOT NULL DEFAULT 'none' CHECK (rule IN ('levels', 'width', 'joint', 'none'));
UPDATE jobs SET rule = branch_rule;
ALTER TABLE jobs DROP COLUMN branch_rule;
ALTER TABLE jobs RENAME COLUMN rule TO branch_rule;

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
