-- A job's attempts, first to last.
-- Caller: job. Index: jobs_job, primary key of attempts.
SELECT v_attempts.job AS job, v_attempts.attempt AS attempt, v_attempts.worker AS worker, v_attempts.outcome AS outcome, v_attempts.state AS state,
    v_attempts.message AS message, v_attempts.leased_us AS leased_us, v_attempts.ended_us AS ended_us
FROM v_attempts
WHERE v_attempts.job = $1
ORDER BY v_attempts.attempt;
