-- What happened to a job, in order.
-- Caller: job. Index: jobs_job, events_job.
SELECT at_us, job, sweep, attempt, event, state, who, message
FROM v_events
WHERE job = $1
ORDER BY at_us, CASE WHEN event = 'submitted' THEN 0 ELSE 1 END, attempt, CASE WHEN event = 'claimed' THEN 0 ELSE 1 END;
