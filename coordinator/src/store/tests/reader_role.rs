//! The role of `deploy/postgres/reader.sql`: made, made again, and tried as whoever connects by it.

use std::collections::BTreeSet;

use offramp_domain::table::VIEWS;
use sqlx::Row as _;

use super::*;

const SCRIPT: &str = include_str!("../../../../deploy/postgres/reader.sql");

/// `insufficient_privilege`.
const NO_RIGHT: &str = "42501";

async fn connect(home: &TestDatabase, user: Option<&str>) -> PgConnection {
    let Database::Postgres(url) = &home.database else { panic!("a server's") };
    let options = url.options();
    let options = match user {
        Some(user) => options.username(user),
        None => options,
    };
    PgConnection::connect_with(&options).await.unwrap()
}

/// SQLSTATE of a refusal.
async fn refusal(connection: &mut PgConnection, statement: &str) -> String {
    let error = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await.expect_err(statement);
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_else(|| panic!("{statement}: {error}")).into_owned()
}

async fn setting(connection: &mut PgConnection, name: &str) -> String {
    sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn a_reader_reads_every_view_and_nothing_else_on_postgres() {
    let Some(store) = Fixture::postgres().await else { return };
    store.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await;
    let session = store.session("w").await;
    let job = store.complete_next(session, &[(1.0, 0.5)]).await;
    let mut owner = connect(&store.home, None).await;
    for _ in 0..2 {
        sqlx::raw_sql(SCRIPT).execute(&mut owner).await.unwrap();
    }
    let mut reader = connect(&store.home, Some("offramp_reader")).await;
    for view in VIEWS {
        let rows = sqlx::query(AssertSqlSafe(format!("SELECT * FROM {}", view.name))).fetch_all(&mut reader).await.unwrap();
        assert!(view.name != "v_jobs" || rows[0].get::<String, _>("job") == job.key.id(), "{}", view.name);
    }
    assert_eq!(setting(&mut reader, "statement_timeout").await, "1min");
    assert_eq!(setting(&mut reader, "default_transaction_read_only").await, "on");
    // Whoever switches read-only transactions off has no right to write all the same.
    sqlx::raw_sql("SET default_transaction_read_only = off").execute(&mut reader).await.unwrap();
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    let tables: BTreeSet<String> = sqlx::query_scalar(tables).fetch_all(&mut owner).await.unwrap().into_iter().collect();
    assert!(tables.contains("jobs") && tables.contains("_sqlx_migrations"), "{tables:?}");
    for table in &tables {
        assert_eq!(refusal(&mut reader, &format!("SELECT * FROM {table}")).await, NO_RIGHT, "{table}");
        assert_eq!(refusal(&mut reader, &format!("DELETE FROM {table}")).await, NO_RIGHT, "{table}");
    }
    for statement in [
        "UPDATE v_sweep_jobs SET position = 7",
        "DELETE FROM v_configs",
        "CREATE TABLE mine (a int)",
        "CREATE TEMPORARY TABLE mine (a int)",
        "CREATE VIEW mine AS SELECT * FROM jobs",
        "TRUNCATE jobs",
        "CREATE ROLE other SUPERUSER",
        "ALTER ROLE offramp_reader SUPERUSER",
        "SET ROLE postgres",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ] {
        let state = refusal(&mut reader, statement).await;
        // A view that cannot be written at all is a refusal, too.
        assert!([NO_RIGHT, "55000"].contains(&state.as_str()), "{statement}: {state}");
    }
    // Tables that come later are no different.
    sqlx::raw_sql("CREATE TABLE later (a int)").execute(&mut owner).await.unwrap();
    assert_eq!(refusal(&mut reader, "SELECT * FROM later").await, NO_RIGHT);
    assert!(!SCRIPT.to_lowercase().contains("password '"), "no password is inside");
    reader.close().await.unwrap();
    // Roles belong to the server: this one goes with the test.
    sqlx::raw_sql("DROP OWNED BY offramp_reader; DROP ROLE offramp_reader").execute(&mut owner).await.unwrap();
    owner.close().await.unwrap();
}
