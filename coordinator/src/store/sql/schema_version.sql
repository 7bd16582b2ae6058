-- The newest migration that was applied.
-- Caller: open, versions. Index: primary key.
SELECT max(version) AS version FROM _sqlx_migrations WHERE success;
