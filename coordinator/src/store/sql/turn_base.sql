-- Where the queue of priority $1 stands: the turn of its most advanced first job; NULL where nothing waits.
-- Caller: submit, control. Index: job_states_claim.
SELECT max(heads.turn) AS turn
FROM (
    SELECT (
        SELECT min(job_states.turn)
        FROM job_states
        WHERE job_states.placement_id = placements.id AND job_states.priority = $1
            AND job_states.state = 'queued' AND job_states.not_before_us = 0 AND job_states.sponsor_id IS NOT NULL
    ) AS turn
    FROM placements
) AS heads;
