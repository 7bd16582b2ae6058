-- What a result must fit.
-- Caller: complete. Index: primary keys of jobs and exits.
SELECT
    jobs.dataset AS dataset,
    jobs.backbone_macs AS backbone_macs,
    jobs.n_classes AS n_classes,
    (SELECT count(*) FROM exits WHERE exits.job_id = jobs.id) AS n_exits
FROM jobs
WHERE jobs.id = $1;
