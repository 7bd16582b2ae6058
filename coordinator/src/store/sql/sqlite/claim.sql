-- Leases claimable jobs of the placements in the JSON array $1 to the sessions in the JSON array $2, one each, until $3: the highest priority
-- that is at most $4 first, and in turns within one; at most $5. Of sweep $6 alone, where that is not NULL. Their attempts begin at $7, or after
-- those before them: a coordinator that was held up goes by a time that others have left behind.
-- Caller: batch. Index: job_states_claim, unique (sweep_id, job_id), job_states_session.
UPDATE job_states
SET state = 'leased', attempt = attempt + 1, session_id = picked.session_id, lease_until_us = $3
FROM (
    SELECT candidates.job_id AS job_id, slots.value AS session_id
    FROM (
        SELECT next.job_id AS job_id, row_number() OVER (ORDER BY next.priority DESC, next.turn, next.job_id) - 1 AS place
        FROM json_each($1) AS allowed
        CROSS JOIN job_states AS next
        WHERE next.job_id IN (
            SELECT queue.job_id
            FROM job_states AS queue
            WHERE queue.placement_id = allowed.value AND queue.state = 'queued' AND queue.not_before_us = 0
                AND queue.sponsor_id IS NOT NULL AND queue.priority <= $4
                AND ($6 IS NULL OR EXISTS (
                    SELECT 1 FROM sweep_jobs WHERE sweep_jobs.sweep_id = $6 AND sweep_jobs.job_id = queue.job_id
                ))
            ORDER BY queue.priority DESC, queue.turn, queue.job_id
            LIMIT $5
        )
    ) AS candidates
    JOIN json_each($2) AS slots ON slots.key = candidates.place
) AS picked
WHERE job_states.job_id = picked.job_id AND job_states.state = 'queued'
RETURNING
    job_id, attempt, session_id, priority, turn,
    (SELECT jobs.key FROM jobs WHERE jobs.id = job_states.job_id) AS key,
    (SELECT jobs.config FROM jobs WHERE jobs.id = job_states.job_id) AS config;
INSERT INTO attempts (job_id, attempt, session_id, outcome, state, message, leased_us)
SELECT
    job_states.job_id, job_states.attempt, job_states.session_id, 'running', '', '',
    max($7, coalesce((SELECT max(earlier.ended_us) FROM attempts AS earlier WHERE earlier.job_id = job_states.job_id), 0))
FROM (SELECT DISTINCT slots.value AS session_id FROM json_each($2) AS slots) AS served
CROSS JOIN job_states
WHERE job_states.session_id = served.session_id AND job_states.state = 'leased' AND NOT EXISTS (
    SELECT 1 FROM attempts WHERE attempts.job_id = job_states.job_id AND attempts.attempt = job_states.attempt
);
