-- Tables and views in the schema that we would write to, and whether they are ours. The migrations' own table alone is a start that somebody
-- makes at this moment; what an extension brought is nobody's.
-- Caller: open. Index: none.
SELECT
    count(CASE WHEN pg_class.relname <> '_sqlx_migrations' THEN 1 END) AS n_relations,
    count(CASE WHEN pg_class.relname IN ('_sqlx_migrations', 'job_states', 'operating_points') THEN 1 END) = 3 AS is_ours
FROM pg_class
WHERE pg_class.relnamespace = current_schema()::regnamespace AND pg_class.relkind IN ('r', 'p', 'v', 'm')
    AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE pg_depend.objid = pg_class.oid AND pg_depend.deptype = 'e');
