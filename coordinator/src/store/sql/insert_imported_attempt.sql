-- Begins attempt $2 at job $1, of session $3, at $4.
-- Caller: import. Index: primary key.
INSERT INTO attempts (job_id, attempt, session_id, outcome, state, message, leased_us, ended_us)
VALUES ($1, $2, $3, 'running', '', '', $4, NULL);
