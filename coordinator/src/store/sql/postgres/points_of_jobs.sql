-- The operating points of the jobs of the JSON array $1, as far as frontiers care.
-- Caller: replay. Index: primary keys.
SELECT
    operating_points.job_id AS job_id, operating_points.point AS point, operating_points.accuracy AS accuracy,
    operating_points.macs_cascade AS macs_cascade, operating_points.macs_selected AS macs_selected, jobs.params AS params,
    operating_points.latency_us AS latency_us
FROM jsonb_array_elements_text($1::jsonb) AS wanted (value)
JOIN jobs ON jobs.id = wanted.value::bigint
JOIN operating_points ON operating_points.job_id = jobs.id
ORDER BY operating_points.job_id, operating_points.point;
