-- What a result that session $2 reports must fit, and is summed up with.
-- Caller: complete. Index: primary keys of jobs and sessions.
SELECT
    jobs.dataset AS dataset,
    jobs.backbone_macs AS backbone_macs,
    jobs.n_classes AS n_classes,
    (SELECT sessions.trainer FROM sessions WHERE sessions.id = $2) AS trainer
FROM jobs
WHERE jobs.id = $1;
