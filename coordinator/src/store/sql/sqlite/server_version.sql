-- The database engine's version.
-- Caller: versions. Index: none.
SELECT 'SQLite ' || sqlite_version() AS version;
