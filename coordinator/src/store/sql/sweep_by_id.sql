-- One sweep.
-- Caller: sweep. Index: primary key of sweeps.
SELECT sweep, name, state, created_us, n_jobs, n_queued, n_leased, n_succeeded, n_failed, n_diverged
FROM v_sweeps
WHERE sweep = $1;
