-- Sweep $1's jobs that have their result, in the order in which they came to the sweep: when the results were accepted, or with the sweep.
-- Caller: replay. Index: primary keys.
SELECT
    CASE WHEN job_states.finished_us > sweeps.created_us THEN job_states.finished_us ELSE sweeps.created_us END AS at_us,
    results.job_id AS job_id, jobs.dataset AS dataset, jobs.backbone AS backbone, jobs.pattern AS pattern, results.trainer AS trainer,
    jobs.params AS params, jobs.n_classes AS n_classes
FROM sweeps
JOIN sweep_jobs ON sweep_jobs.sweep_id = sweeps.id
JOIN results ON results.job_id = sweep_jobs.job_id
JOIN jobs ON jobs.id = results.job_id
JOIN job_states ON job_states.job_id = results.job_id
WHERE sweeps.id = $1
ORDER BY 1, 2;
