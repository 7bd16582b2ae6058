-- Records how an attempt ended.
-- Caller: settle. Index: primary key.
UPDATE attempts SET outcome = $3, message = $4, ended_us = $5
WHERE job_id = $1 AND attempt = $2 AND outcome = 'running';
