-- One job of each of sweep $1's cells: they differ in nothing but the seed.
-- Caller: compare. Index: primary keys of sweep_jobs and jobs.
SELECT cell, config, branch_rule, branch_macs, backbone_macs
FROM jobs
WHERE id IN (
    SELECT min(members.id)
    FROM sweep_jobs
    JOIN jobs AS members ON members.id = sweep_jobs.job_id
    WHERE sweep_jobs.sweep_id = $1
    GROUP BY members.cell
);
