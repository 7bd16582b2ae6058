-- Tells whether a job of sweep $2, or of any where that is NULL, can be claimed at $1.
-- Caller: claimable. Index: job_states_queued, unique (sweep_id, job_id).
SELECT 1 FROM job_states
WHERE state = 'queued' AND not_before_us <= $1
    AND ($2 IS NULL OR EXISTS (SELECT 1 FROM sweep_jobs WHERE sweep_jobs.sweep_id = $2 AND sweep_jobs.job_id = job_states.job_id))
LIMIT 1;
