-- Per-exit metrics of sweep $1's finished jobs, in its order.
-- Caller: exits. Index: primary keys of sweep_jobs and exit_results, jobs_job.
SELECT
    v_exits.job AS job, v_exits.exit AS exit, v_exits.is_final AS is_final, v_exits.unit AS unit, v_exits.branch_depth AS branch_depth,
    v_exits.branch_width AS branch_width, v_exits.backbone_macs AS backbone_macs, v_exits.branch_macs AS branch_macs,
    v_exits.branch_params AS branch_params, v_exits.macs_cascade AS macs_cascade, v_exits.macs_selected AS macs_selected,
    v_exits.accuracy AS accuracy, v_exits.loss AS loss, v_exits.top5_accuracy AS top5_accuracy, v_exits.ece AS ece,
    v_exits.n_test AS n_test, v_exits.calibration_accuracy AS calibration_accuracy, v_exits.calibration_loss AS calibration_loss,
    v_exits.calibration_top5_accuracy AS calibration_top5_accuracy, v_exits.calibration_ece AS calibration_ece,
    v_exits.n_calibration AS n_calibration,
    v_exits.backbone AS backbone, v_exits.dataset AS dataset, v_exits.pattern AS pattern, v_exits.seed AS seed
FROM v_sweep_jobs
JOIN v_exits ON v_exits.job = v_sweep_jobs.job
WHERE v_sweep_jobs.sweep = $1
ORDER BY v_sweep_jobs.position, v_exits.exit;
