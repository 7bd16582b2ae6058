-- Where the queue of priority $1 stands: the turn of its most advanced first job or of the last one that was handed out and is not over, whichever
-- is later, because a job that came back waits with its old turn; NULL where there is neither.
-- Caller: submit, control. Index: job_states_claim, either one of leases.
SELECT max(stands.turn) AS turn
FROM (
    SELECT (
        SELECT min(job_states.turn)
        FROM job_states
        WHERE job_states.placement_id = placements.id AND job_states.priority = $1
            AND job_states.state = 'queued' AND job_states.not_before_us = 0 AND job_states.sponsor_id IS NOT NULL
    ) AS turn
    FROM placements
    UNION ALL
    SELECT max(job_states.turn) AS turn
    FROM job_states
    WHERE job_states.state = 'leased' AND job_states.priority = $1
) AS stands;
