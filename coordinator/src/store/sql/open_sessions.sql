-- Open sessions that were heard of since $2, with what they offer and hold, those that were heard of last first; at most $1.
-- Caller: explain. Index: sessions_open, job_states_session.
SELECT
    sessions.worker AS worker, sessions.n_slots AS n_slots, sessions.draining AS draining,
    sessions.device AS device, sessions.memory_mib AS memory_mib, sessions.datasets AS datasets, sessions.labels AS labels,
    (SELECT count(*) FROM job_states WHERE job_states.session_id = sessions.id AND job_states.state = 'leased') AS n_leased
FROM sessions
WHERE sessions.ended_us IS NULL AND sessions.seen_us >= $2
ORDER BY sessions.seen_us DESC, sessions.id DESC
LIMIT $1;
