-- How long the next statements of this transaction wait for a lock, milliseconds.
-- Caller: begin_alone. Index: none.
SELECT set_config('lock_timeout', $1, true);
