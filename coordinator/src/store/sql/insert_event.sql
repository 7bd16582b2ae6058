-- Records what happened to a job or to a sweep.
-- Caller: many. Index: none.
INSERT INTO events (at_us, job_id, sweep_id, attempt, event, state, who, message)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);
