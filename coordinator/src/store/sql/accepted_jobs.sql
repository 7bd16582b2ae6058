-- Every job that has its result, in the order in which the results were accepted.
-- Caller: replay. Index: none: it takes all of them.
SELECT
    coalesce(job_states.finished_us, 0) AS at_us, results.job_id AS job_id, jobs.dataset AS dataset, jobs.backbone AS backbone, jobs.pattern AS pattern, results.trainer AS trainer,
    jobs.params AS params, jobs.n_classes AS n_classes
FROM results
JOIN jobs ON jobs.id = results.job_id
JOIN job_states ON job_states.job_id = results.job_id
ORDER BY 1, 2;
