-- Ends sessions not heard of since $2 that hold no lease.
-- Caller: expire. Index: sessions_open, job_states_session.
UPDATE sessions SET ended_us = $1
WHERE ended_us IS NULL AND seen_us < $2
    AND NOT EXISTS (SELECT 1 FROM job_states WHERE job_states.session_id = sessions.id AND job_states.state = 'leased');
