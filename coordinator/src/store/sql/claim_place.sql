-- What decides over when a job is claimed.
-- Caller: explain. Index: unique jobs.key.
SELECT
    job_states.job_id AS job_id, job_states.state AS state, job_states.not_before_us AS not_before_us, job_states.sponsor_id AS sponsor_id,
    job_states.priority AS priority, job_states.turn AS turn, job_states.placement_id AS placement_id,
    placements.device AS device, placements.memory_mib AS memory_mib, placements.dataset AS dataset, placements.labels AS labels
FROM jobs
JOIN job_states ON job_states.job_id = jobs.id
JOIN placements ON placements.id = job_states.placement_id
WHERE jobs.key = $1;
