-- One sweep.
-- Caller: sweep. Index: primary key of sweeps.
SELECT sweep, name, state, priority, created_us, n_jobs, n_blocked, n_queued, n_leased, n_succeeded, n_failed, n_diverged, n_quarantined,
    n_cancelled, n_reused, note
FROM v_sweeps
WHERE sweep = $1;
