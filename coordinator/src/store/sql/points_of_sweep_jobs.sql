-- Every operating point that sweep $1's jobs have already.
-- Caller: submit. Index: primary keys of sweep_jobs and operating_points.
SELECT
    jobs.dataset AS dataset,
    operating_points.job_id AS job_id,
    operating_points.point AS point,
    operating_points.macs_cascade AS macs_cascade,
    operating_points.macs_selected AS macs_selected,
    operating_points.accuracy AS accuracy
FROM sweep_jobs
JOIN jobs ON jobs.id = sweep_jobs.job_id
JOIN operating_points ON operating_points.job_id = sweep_jobs.job_id
WHERE sweep_jobs.sweep_id = $1
ORDER BY sweep_jobs.position, operating_points.point;
