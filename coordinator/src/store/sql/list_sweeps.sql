-- Sweeps, newest first, at most $1.
-- Caller: sweeps. Index: primary key of sweeps.
SELECT sweep, name, state, priority, created_us, n_jobs, n_blocked, n_queued, n_leased, n_succeeded, n_failed, n_diverged, n_quarantined,
    n_cancelled, n_reused, note
FROM v_sweeps
WHERE sweep IN (SELECT id FROM sweeps ORDER BY id DESC LIMIT $1)
ORDER BY sweep DESC;
