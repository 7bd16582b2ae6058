-- Where the queue of priority $1 stands, among the jobs that need the same ($2) and among all: the turn of the first job that waits or of the last
-- one that was handed out and is not over, whichever is later, because a job that came back waits with its old turn. Among all, where it stands
-- that is the furthest. NULL where there is neither.
-- Caller: submit, control. Index: job_states_claim, either one of leases.
WITH stands AS (
    SELECT
        placements.id AS placement_id,
        (
            SELECT min(job_states.turn)
            FROM job_states
            WHERE job_states.placement_id = placements.id AND job_states.priority = $1
                AND job_states.state = 'queued' AND job_states.not_before_us = 0 AND job_states.sponsor_id IS NOT NULL
        ) AS turn
    FROM placements
    UNION ALL
    SELECT job_states.placement_id AS placement_id, max(job_states.turn) AS turn
    FROM job_states
    WHERE job_states.state = 'leased' AND job_states.priority = $1
    GROUP BY job_states.placement_id
)
SELECT max(CASE WHEN stands.placement_id = $2 THEN stands.turn END) AS own, max(stands.turn) AS anywhere
FROM stands;
