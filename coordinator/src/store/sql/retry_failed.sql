-- Queues the failed jobs of sweep $1 again, claimable from $3, with all their tries before them.
-- Caller: retry_failed. Index: primary keys of sweep_jobs and job_states.
UPDATE job_states
SET state = $2, n_failures = 0, not_before_us = $3, finished_us = NULL
WHERE state = 'failed' AND job_id IN (SELECT sweep_jobs.job_id FROM sweep_jobs WHERE sweep_jobs.sweep_id = $1);
