-- The server's clock, unix microseconds. The one statement that asks the time.
-- Caller: clock_us. Index: none.
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us;
