-- Finished epochs of a job's newest attempt.
-- Caller: job. Index: unique jobs.key, primary key of epochs.
SELECT epochs.attempt AS attempt, epochs.epoch AS epoch, epochs.loss AS loss, epochs.exit_accuracy AS exit_accuracy,
    epochs.images_per_second AS images_per_second
FROM jobs
JOIN job_states ON job_states.job_id = jobs.id
JOIN epochs ON epochs.job_id = jobs.id AND epochs.attempt = job_states.attempt
WHERE jobs.key = $1
ORDER BY epochs.epoch;
