-- More of what an evaluation says: top-5, calibration error, measured speed, and the file with the per-sample records.
-- NULL where an earlier version evaluated, or nothing was measured or kept.

ALTER TABLE exit_results ADD COLUMN top5_accuracy REAL;
-- Expected calibration error over 15 bins of equal width.
ALTER TABLE exit_results ADD COLUMN ece REAL;
ALTER TABLE exit_results ADD COLUMN calibration_top5_accuracy REAL;
ALTER TABLE exit_results ADD COLUMN calibration_ece REAL;

-- With real early exit: the mean time to one image's answer, and images a second in large batches.
ALTER TABLE operating_points ADD COLUMN latency_us REAL;
ALTER TABLE operating_points ADD COLUMN images_per_second REAL;

-- The file with the per-sample records, on the machine of the worker that reported the result.
ALTER TABLE results ADD COLUMN records_path TEXT;
ALTER TABLE results ADD COLUMN records_bytes INTEGER;
ALTER TABLE results ADD COLUMN records_sha256 TEXT;

DROP VIEW v_exits;
DROP VIEW v_operating_points;
DROP VIEW v_frontier;

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
    exit_results.top5_accuracy AS top5_accuracy,
    exit_results.ece AS ece,
    results.n_test AS n_test,
    exit_results.calibration_accuracy AS calibration_accuracy,
    exit_results.calibration_loss AS calibration_loss,
    exit_results.calibration_top5_accuracy AS calibration_top5_accuracy,
    exit_results.calibration_ece AS calibration_ece,
    results.n_calibration AS n_calibration,
    jobs.backbone AS backbone,
    jobs.dataset AS dataset,
    jobs.pattern AS pattern,
    jobs.seed AS seed
FROM exit_results
JOIN results ON results.job_id = exit_results.job_id
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
    operating_points.latency_us AS latency_us,
    operating_points.images_per_second AS images_per_second,
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
    operating_points.latency_us AS latency_us,
    operating_points.images_per_second AS images_per_second,
    substr(jobs.key, 1, 12) AS job
FROM frontier
JOIN operating_points ON operating_points.job_id = frontier.job_id AND operating_points.point = frontier.point
JOIN jobs ON jobs.id = frontier.job_id;

-- Files that belong to results.
CREATE VIEW v_artifacts AS
SELECT
    substr(jobs.key, 1, 12) AS job,
    results.attempt AS attempt,
    'records' AS kind,
    sessions.worker AS worker,
    results.records_path AS path,
    results.records_bytes AS bytes,
    results.records_sha256 AS sha256
FROM results
JOIN jobs ON jobs.id = results.job_id
JOIN attempts ON attempts.job_id = results.job_id AND attempts.attempt = results.attempt
JOIN sessions ON sessions.id = attempts.session_id
WHERE results.records_path IS NOT NULL;
