//! Databases of a server: whose they are, and who may use them.

use sqlx::postgres::PgPool;

use super::*;

async fn connect(home: &TestDatabase) -> PgPool {
    match &home.database {
        Database::Postgres(url) => PgPool::connect_with(url.options()).await.unwrap(),
        Database::Sqlite(path) => panic!("{} is a file", path.display()),
    }
}

/// Every relation with its columns: what must not change when a database is refused.
async fn schema(pool: &PgPool) -> Vec<(String, String)> {
    let statement =
        "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2";
    sqlx::query_as(statement).fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn a_foreign_database_is_refused_and_left_alone() {
    let Some(home) = TestDatabase::postgres().await else { return };
    let pool = connect(&home).await;
    // A table of somebody's, and one more that sounds like ours.
    for table in ["CREATE TABLE bookmarks (url TEXT)", "CREATE TABLE job_states (id BIGINT)"] {
        sqlx::raw_sql(table).execute(&pool).await.unwrap();
        let before = schema(&pool).await;
        for error in [Store::open(&home.database, LIMITS).await.unwrap_err(), Reader::open(&home.database).await.unwrap_err()] {
            assert_eq!(error.to_string(), format!("`{}` is not an Offramp database", home.database), "{error:?}");
            assert!(error.hint().unwrap().contains("left as it is"));
        }
        assert_eq!(schema(&pool).await, before);
    }
}

#[tokio::test]
async fn other_schemas_of_a_database_and_what_extensions_bring_are_nobodys_business() {
    let Some(home) = TestDatabase::postgres().await else { return };
    let pool = connect(&home).await;
    sqlx::raw_sql("CREATE SCHEMA theirs; CREATE TABLE theirs.bookmarks (url TEXT); CREATE EXTENSION pg_stat_statements")
        .execute(&pool)
        .await
        .unwrap();
    Store::open(&home.database, LIMITS).await.unwrap();
}

#[tokio::test]
async fn a_reader_makes_no_tables() {
    let Some(home) = TestDatabase::postgres().await else { return };
    assert!(matches!(Reader::open(&home.database).await.unwrap_err(), OpenError::Foreign(_)), "an empty database is none of ours yet");
    assert_eq!(schema(&connect(&home).await).await, []);
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_an_older_one_only_migrated_by_a_coordinator() {
    let Some(store) = Fixture::postgres().await else { return };
    let Fixture { store, home } = store;
    store
        .execute("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'later', true, '', 0)")
        .await;
    let expected = format!("`{}` has schema version 99, this build knows versions up to {}", home.database, newest_schema());
    for error in [Store::open(&home.database, LIMITS).await.unwrap_err(), Reader::open(&home.database).await.unwrap_err()] {
        assert_eq!(error.to_string(), expected);
        assert!(error.hint().unwrap().contains("upgrade"));
    }
    store.execute("DELETE FROM _sqlx_migrations WHERE version > 1").await;
    let error = Reader::open(&home.database).await.unwrap_err();
    assert_eq!(error.to_string(), format!("`{}` has schema version 1, this build reads version {}", home.database, newest_schema()));
}

#[tokio::test]
async fn coordinators_that_start_together_migrate_once_and_share_the_database() {
    let Some(home) = TestDatabase::postgres().await else { return };
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let database = home.database.clone();
        starts.spawn(async move { Store::open(&database, LIMITS).await.unwrap() });
    }
    let stores = starts.join_all().await;
    assert_eq!(stores[0].count("_sqlx_migrations").await, newest_schema());
    let submitted = stores[0].submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1, 2, 3]")).await;
    let again = stores[1].submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1, 2, 3]")).await;
    assert_eq!((again.sweep, again.created), (submitted.sweep, false));
    let session = stores[2].session("w").await;
    for store in &stores {
        assert_eq!(store.claim(session, 1, START_US).await.len(), 1, "a session is not tied to one coordinator");
    }
}

#[tokio::test]
async fn what_is_answered_is_on_disk_and_a_standing_transaction_ends() {
    let Some(store) = Fixture::postgres().await else { return };
    // Whatever the server's own settings are.
    let mut tx = store.begin().await.unwrap();
    for (setting, value) in
        [("synchronous_commit", "on"), ("lock_timeout", "5s"), ("statement_timeout", "20s"), ("idle_in_transaction_session_timeout", "20s")]
    {
        let row = tx.one(statement("SELECT current_setting($1) AS value"), engine::args![setting]).await.unwrap();
        assert_eq!(row.get::<String>("value").unwrap(), value, "{setting}");
    }
    // What is read after waiting for a lock must be what its holder left. Servers are set up like this as a rule, but not always.
    let isolation =
        statement("SELECT setting || ' of the ' || source AS value FROM pg_settings WHERE name = 'default_transaction_isolation'");
    assert_eq!(tx.one(isolation, []).await.unwrap().get::<String>("value").unwrap(), "read committed of the client");
    drop(tx);
    let mut tx = store.reader().pool().begin_writing().await.unwrap();
    let refused = tx.run(statement("DELETE FROM frontier"), []).await.unwrap_err();
    assert!(matches!(DatabaseError::from(refused), DatabaseError::ReadOnly(_)));
}

#[tokio::test]
async fn the_servers_clock_is_the_time() {
    let Some(store) = Fixture::postgres().await else { return };
    // Later than this test was written, and not yet forty years on: in microseconds, not in another unit.
    let now_us = store.clock_us().await.unwrap().unwrap();
    assert!((1_700_000_000_000_000..3_000_000_000_000_000).contains(&now_us), "{now_us}");
    assert_eq!(Fixture::sqlite().await.clock_us().await.unwrap(), None);
}

#[tokio::test]
async fn a_server_that_refuses_or_is_not_there_is_named_without_its_password() {
    let Some(home) = TestDatabase::postgres().await else { return };
    let Database::Postgres(url) = &home.database else { panic!("a server's") };
    let options = url.options();
    let server = format!("{}:{}", options.get_host(), options.get_port());
    for (url, is_expected) in [
        (
            format!("postgres://{}:secret@{server}/offramp_test_of_nobody", options.get_username()),
            (|error| matches!(error, DatabaseError::Refused(_))) as fn(&DatabaseError) -> bool,
        ),
        // No server listens on the discard port.
        ("postgres://me:secret@127.0.0.1:9/offramp".to_owned(), |error| matches!(error, DatabaseError::Unreachable(_))),
    ] {
        let error = Store::open(&url.parse().unwrap(), LIMITS).await.unwrap_err();
        assert!(matches!(&error, OpenError::Database { source, .. } if is_expected(source)), "{error:?}");
        assert!(!format!("{error} {error:?} {}", crate::chain(&error)).contains("secret"), "{error}");
        assert!(error.hint().is_some());
    }
}
