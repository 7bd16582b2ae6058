-- Stores the planned exits of the JSON array $1, except of jobs that have theirs.
-- Caller: submit. Index: unique jobs.key.
INSERT INTO exits (
    job_id, exit, is_final, unit, branch_depth, branch_width,
    backbone_macs, branch_macs, branch_params, macs_cascade, macs_selected
)
SELECT
    jobs.id,
    json_extract(wanted.value, '$.exit'),
    json_extract(wanted.value, '$.is_final'),
    json_extract(wanted.value, '$.unit'),
    json_extract(wanted.value, '$.branch_depth'),
    json_extract(wanted.value, '$.branch_width'),
    json_extract(wanted.value, '$.backbone_macs'),
    json_extract(wanted.value, '$.branch_macs'),
    json_extract(wanted.value, '$.branch_params'),
    json_extract(wanted.value, '$.macs_cascade'),
    json_extract(wanted.value, '$.macs_selected')
FROM json_each($1) AS wanted
JOIN jobs ON jobs.key = json_extract(wanted.value, '$.job')
WHERE true
ON CONFLICT (job_id, exit) DO NOTHING;
