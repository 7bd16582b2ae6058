-- The database engine's version.
-- Caller: versions. Index: none.
SELECT 'PostgreSQL ' || current_setting('server_version') AS version;
