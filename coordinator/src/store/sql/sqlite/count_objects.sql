-- Whether the file has any schema at all.
-- Caller: open. Index: none.
SELECT count(*) FROM sqlite_schema;
