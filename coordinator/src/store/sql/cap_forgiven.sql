-- Forgives sweep $1 no more failures than there are, once some of them are tried again.
-- Caller: control. Index: primary keys.
UPDATE sweeps SET n_forgiven = (
    SELECT count(*)
    FROM sweep_jobs
    JOIN job_states ON job_states.job_id = sweep_jobs.job_id
    WHERE sweep_jobs.sweep_id = sweeps.id AND job_states.state IN ('failed', 'quarantined') AND job_states.n_failures > 0
)
WHERE id = $1 AND n_forgiven > 0;
