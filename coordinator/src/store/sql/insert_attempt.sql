-- Records that an attempt began.
-- Caller: batch. Index: none.
INSERT INTO attempts (job_id, attempt, session_id, outcome, state, message, leased_us)
VALUES ($1, $2, $3, $4, $5, $6, $7);
