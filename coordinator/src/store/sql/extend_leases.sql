-- Gives every lease until $1 at least, except those of workers that were not heard of since $2: they did not fall silent because nobody listened.
-- Caller: extend_leases. Index: job_states_session, sessions_open.
UPDATE job_states SET lease_until_us = $1
WHERE state = 'leased' AND lease_until_us < $1
    AND session_id IN (SELECT sessions.id FROM sessions WHERE sessions.ended_us IS NULL AND sessions.seen_us >= $2);
