-- Lets the unfinished jobs of sweep $1 that need the same ($2) be handed out $3 turns later.
-- Caller: control. Index: primary keys.
UPDATE job_states SET turn = turn + $3
WHERE placement_id = $2 AND state IN ('blocked', 'queued', 'leased')
    AND job_id IN (SELECT sweep_jobs.job_id FROM sweep_jobs WHERE sweep_jobs.sweep_id = $1);
