-- Records once that attempt $3 of job $2 was reported after its job had been cancelled.
-- Caller: batch. Index: events_job.
INSERT INTO events (at_us, job_id, attempt, event, state, who, message)
SELECT $1, $2, $3, 'reported-late', 'cancelled', $4, $5
WHERE NOT EXISTS (
    SELECT 1 FROM events
    WHERE events.job_id = $2 AND events.attempt = $3 AND events.event = 'reported-late'
);
