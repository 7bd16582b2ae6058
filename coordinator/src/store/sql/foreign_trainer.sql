-- A trainer of the other kind than $1 that has a result or an open session here; simulated and real trainers are the two kinds.
-- Caller: open_session. Index: sessions_open.
SELECT trainer FROM (
    -- Any result will do: they are all of one kind.
    SELECT trainer FROM (SELECT trainer FROM results LIMIT 1) AS any_result
    UNION ALL
    SELECT trainer FROM sessions WHERE ended_us IS NULL
) AS present
WHERE (trainer = 'simulated') <> ($1 = 'simulated')
LIMIT 1;
