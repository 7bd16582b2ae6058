-- Sweep $1's jobs in its order, at most $2, each with its test accuracy for a cost of $3 MACs and $4 times the backbone's. The calibration split
-- chooses: of the points that cost no more there the most accurate there, of equal ones the cheaper there, then the first. Chance without one.
-- Caller: compare. Index: primary keys of sweep_jobs, jobs, job_states, results and operating_points.
SELECT jobs.key AS job_key, jobs.cell AS cell, jobs.seed AS seed, job_states.state AS state,
    CASE WHEN results.job_id IS NOT NULL THEN coalesce((
        SELECT operating_points.accuracy
        FROM operating_points
        WHERE operating_points.job_id = results.job_id
            AND operating_points.calibration_macs_cascade <= CAST($3 AS DOUBLE PRECISION) + CAST($4 AS DOUBLE PRECISION) * jobs.backbone_macs
        ORDER BY operating_points.calibration_accuracy DESC, operating_points.calibration_macs_cascade, operating_points.point
        LIMIT 1
    ), 1.0 / jobs.n_classes) END AS accuracy_at
FROM sweep_jobs
JOIN jobs ON jobs.id = sweep_jobs.job_id
JOIN job_states ON job_states.job_id = sweep_jobs.job_id
LEFT JOIN results ON results.job_id = sweep_jobs.job_id
WHERE sweep_jobs.sweep_id = $1
ORDER BY sweep_jobs.position
LIMIT $2;
