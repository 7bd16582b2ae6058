-- A role that may read Offramp's results and nothing else: SELECT on the views of docs/RESULTS.md, no tables, no writes.
--
--     psql "$OFFRAMP_DATABASE" --single-transaction -v ON_ERROR_STOP=1 -f deploy/postgres/reader.sql
--     psql "$OFFRAMP_DATABASE" -c '\password offramp_reader'
--
-- Run it as the user whom coordinators connect as, with the right to make roles (or as a superuser), once, and again after an upgrade of Offramp:
-- views that an upgrade makes anew are not granted yet. There is no password inside: until one is set, only servers that ask for none let the role in.

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'offramp_reader') THEN
        CREATE ROLE offramp_reader;
    END IF;
END
$$;

-- A person's query that goes astray ends by itself, and takes no connection for ever; coordinators need theirs.
ALTER ROLE offramp_reader WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 20;
ALTER ROLE offramp_reader SET statement_timeout = '60s';
ALTER ROLE offramp_reader SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE offramp_reader SET lock_timeout = '5s';
-- A belt: the role has no right to write in any case.
ALTER ROLE offramp_reader SET default_transaction_read_only = on;

-- Whatever it was granted before is gone, here and for what will be made.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM offramp_reader;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM offramp_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM offramp_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON SEQUENCES FROM offramp_reader;
-- Servers before version 15 let everybody make tables in this schema, and all let everybody make temporary ones.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

DO $$
DECLARE
    name text;
BEGIN
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO offramp_reader', current_database());
    FOR name IN SELECT viewname FROM pg_views WHERE schemaname = 'public' AND viewname LIKE 'v\_%' LOOP
        EXECUTE format('GRANT SELECT ON public.%I TO offramp_reader', name);
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA public TO offramp_reader;
