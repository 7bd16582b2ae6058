-- Records that an attempt began.
-- Caller: claim. Index: none.
INSERT INTO attempts (job_id, attempt, session_id, outcome, message, leased_us)
VALUES ($1, $2, $3, 'running', '', $4);
