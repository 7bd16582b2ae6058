-- Jobs of every sweep, oldest first; all states where $1 is empty.
-- Caller: jobs. Index: primary key of jobs.
SELECT
    v_jobs.job AS job, v_jobs.job_key AS job_key, v_jobs.state AS state, v_jobs.backbone AS backbone, v_jobs.dataset AS dataset,
    v_jobs.pattern AS pattern, v_jobs.exits AS exits, v_jobs.budget AS budget, v_jobs.recipe AS recipe, v_jobs.seed AS seed,
    v_jobs.regime AS regime, v_jobs.distill AS distill, v_jobs.exit_weights AS exit_weights,
    v_jobs.branch_rule AS branch_rule, v_jobs.requirements AS requirements, v_jobs.priority AS priority,
    v_jobs.not_before_us AS not_before_us,
    v_jobs.backbone_macs AS backbone_macs, v_jobs.budget_macs AS budget_macs, v_jobs.branch_macs AS branch_macs,
    v_jobs.budget_error AS budget_error, v_jobs.params AS params, v_jobs.attempt AS attempt, v_jobs.n_failures AS n_failures,
    v_jobs.final_accuracy AS final_accuracy, v_jobs.best_accuracy AS best_accuracy, v_jobs.area AS area,
    v_jobs.train_seconds AS train_seconds, v_jobs.trainer AS trainer, v_jobs.created_us AS created_us,
    v_jobs.finished_us AS finished_us, v_jobs.error AS error,
    CAST(NULL AS BIGINT) AS reused
FROM jobs
JOIN v_jobs ON v_jobs.job_key = jobs.key
WHERE $1 = '' OR v_jobs.state = $1
ORDER BY jobs.id
LIMIT $2 OFFSET $3;
