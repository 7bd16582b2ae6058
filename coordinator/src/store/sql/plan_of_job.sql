-- What a result of session $2 must fit.
-- Caller: complete. Index: primary keys of jobs, exits and sessions.
SELECT
    jobs.dataset AS dataset,
    jobs.backbone_macs AS backbone_macs,
    jobs.n_classes AS n_classes,
    (SELECT count(*) FROM exits WHERE exits.job_id = jobs.id) AS n_exits,
    (SELECT trainer FROM sessions WHERE sessions.id = $2) AS trainer
FROM jobs
WHERE jobs.id = $1;
