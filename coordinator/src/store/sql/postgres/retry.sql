-- Queues the jobs of the JSON array $1 (job_id, turn) again that ended and have no result, or none any more, with all their tries before them.
-- Caller: control. Index: primary key.
UPDATE job_states
SET state = 'queued', n_failures = 0, forgiven_attempt = job_states.attempt, not_before_us = 0, finished_us = NULL, error = '', turn = wanted.turn
FROM jsonb_to_recordset($1::jsonb) AS wanted (job_id bigint, turn bigint)
WHERE job_states.job_id = wanted.job_id AND (
        job_states.state IN ('failed', 'diverged', 'quarantined', 'cancelled')
        OR job_states.state = 'succeeded' AND NOT EXISTS (SELECT 1 FROM results WHERE results.job_id = job_states.job_id)
    );
