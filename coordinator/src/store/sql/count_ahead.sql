-- Claimable jobs that need the same ($1) and are handed out before the one of priority $2, turn $3 and id $4, as far as $5.
-- Caller: explain. Index: job_states_claim.
SELECT count(*) AS n_ahead
FROM (
    SELECT 1 AS one FROM job_states
    WHERE job_states.placement_id = $1 AND job_states.state = 'queued' AND job_states.not_before_us = 0
        AND job_states.sponsor_id IS NOT NULL
        AND (job_states.priority > $2 OR (job_states.priority = $2 AND (
            job_states.turn < $3 OR (job_states.turn = $3 AND job_states.job_id < $4)
        )))
    LIMIT $5
) AS ahead;
