-- The newest migration that was applied.
-- Caller: open. Index: primary key.
SELECT max(version) FROM _sqlx_migrations WHERE success;
