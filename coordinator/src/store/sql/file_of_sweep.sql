-- A sweep's file as it was written, and who submitted it.
-- Caller: sweep_file. Index: primary key of sweeps.
SELECT text, submitted_by FROM sweeps
WHERE id = $1;
