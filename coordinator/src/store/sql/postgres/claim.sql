-- Leases claimable jobs of the placements in the JSON array $1 to the sessions in the JSON array $2, one each, until $3: the highest priority
-- that is at most $4 first, and in turns within one; at most $5. Of sweep $6 alone, where that is not NULL. Their attempts begin at $7, or after
-- those before them: a coordinator that was held up goes by a time that others have left behind.
-- Caller: batch. Index: job_states_claim, unique (sweep_id, job_id).
WITH slots AS MATERIALIZED (
    SELECT $2::jsonb AS sessions
),
candidates AS (
    SELECT queue.job_id, queue.priority, queue.turn
    FROM jsonb_array_elements_text($1::jsonb) AS allowed (value)
    CROSS JOIN LATERAL (
        SELECT job_states.job_id, job_states.priority, job_states.turn
        FROM job_states
        WHERE job_states.placement_id = allowed.value::bigint AND job_states.state = 'queued' AND job_states.not_before_us = 0
            AND job_states.sponsor_id IS NOT NULL AND job_states.priority <= $4
            AND ($6::bigint IS NULL OR EXISTS (
                SELECT 1 FROM sweep_jobs WHERE sweep_jobs.sweep_id = $6 AND sweep_jobs.job_id = job_states.job_id
            ))
        ORDER BY job_states.priority DESC, job_states.turn, job_states.job_id
        LIMIT $5
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS queue
),
placed AS (
    SELECT candidates.job_id, row_number() OVER (ORDER BY candidates.priority DESC, candidates.turn, candidates.job_id) - 1 AS place
    FROM candidates
),
picked AS (
    SELECT placed.job_id, (slots.sessions ->> placed.place::integer)::bigint AS session_id
    FROM placed
    CROSS JOIN slots
    WHERE placed.place < $5
),
leased AS (
    UPDATE job_states
    SET state = 'leased', attempt = job_states.attempt + 1, session_id = picked.session_id, lease_until_us = $3
    FROM picked
    JOIN jobs ON jobs.id = picked.job_id
    WHERE job_states.job_id = picked.job_id AND job_states.state = 'queued'
    RETURNING
        job_states.job_id, job_states.attempt, job_states.session_id, job_states.priority, job_states.turn, jobs.key, jobs.config
),
begun AS (
    INSERT INTO attempts (job_id, attempt, session_id, outcome, state, message, leased_us)
    SELECT
        leased.job_id, leased.attempt, leased.session_id, 'running', '', '',
        greatest($7, (SELECT max(earlier.ended_us) FROM attempts AS earlier WHERE earlier.job_id = leased.job_id))
    FROM leased
)
SELECT job_id, attempt, session_id, priority, turn, key, config
FROM leased;
