-- Stores the planned exits of the JSON array $1, except of jobs that have theirs.
-- Caller: submit. Index: unique jobs.key.
INSERT INTO exits (
    job_id, exit, is_final, unit, branch_depth, branch_width,
    backbone_macs, branch_macs, branch_params, macs_cascade, macs_selected
)
SELECT
    jobs.id,
    wanted.exit,
    wanted.is_final,
    wanted.unit,
    wanted.branch_depth,
    wanted.branch_width,
    wanted.backbone_macs,
    wanted.branch_macs,
    wanted.branch_params,
    wanted.macs_cascade,
    wanted.macs_selected
FROM jsonb_to_recordset($1::jsonb) AS wanted (
    job text, exit bigint, is_final bigint, unit bigint, branch_depth bigint, branch_width bigint, backbone_macs bigint, branch_macs bigint, branch_params bigint, macs_cascade bigint, macs_selected bigint
)
JOIN jobs ON jobs.key = wanted.job
ON CONFLICT (job_id, exit) DO NOTHING;
