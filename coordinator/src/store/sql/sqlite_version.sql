-- The SQLite library's version.
-- Caller: open. Index: none.
SELECT sqlite_version();
