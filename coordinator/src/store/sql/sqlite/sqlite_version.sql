-- The SQLite library's version.
-- Caller: open, versions. Index: none.
SELECT sqlite_version();
