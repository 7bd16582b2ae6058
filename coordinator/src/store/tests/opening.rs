use std::path::Path;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

use super::*;

/// The file's bytes: what must not change when it is refused.
fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

async fn open(path: &Path) -> Result<Store, OpenError> {
    Store::open(&Database::Sqlite(path.to_owned()), LIMITS).await
}

async fn read(path: &Path) -> Result<Reader, OpenError> {
    Reader::open(&Database::Sqlite(path.to_owned())).await
}

async fn refusal(path: &Path) -> OpenError {
    open(path).await.expect_err("it is refused")
}

/// Lets go of the lock and folds the log into the file.
async fn close(fixture: Fixture) -> TestDatabase {
    let Fixture { store, home } = fixture;
    store.close().await;
    home
}

/// A connection of somebody else's.
async fn connect(path: &Path) -> SqlitePool {
    SqlitePool::connect_with(SqliteConnectOptions::new().filename(path).create_if_missing(true).busy_timeout(Duration::ZERO)).await.unwrap()
}

/// The writing connections.
fn writer(store: &Store) -> &SqlitePool {
    match &store.writer {
        Pool::Sqlite(pool) => pool,
        Pool::Postgres(_) => panic!("no file"),
    }
}

#[tokio::test]
async fn directories_are_made_and_the_file_is_reopened() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a/b c/ü.db");
    let store = open(&path).await.unwrap();
    let text = sweep_text("kept", r#"["none"]"#, "0");
    store.submit(&parse(&text), &text, &by("somebody"), START_US).await.unwrap();
    drop(store);
    let store = open(&path).await.unwrap();
    assert_eq!(store.reader().sweep("last").await.unwrap().name, "kept");
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(writer(&store)).await.unwrap();
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(writer(&store)).await.unwrap();
    let foreign_keys: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(writer(&store)).await.unwrap();
    // 2 is FULL.
    assert_eq!((journal.as_str(), synchronous, foreign_keys), ("wal", 2, 1));
}

#[tokio::test]
async fn a_process_that_died_while_creating_the_file_leaves_one_to_go_on_with() {
    // After each of its steps: an empty file, a marked one, and one with the migrations' own table.
    let table = "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
        installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, checksum BLOB NOT NULL, execution_time BIGINT NOT NULL)";
    for steps in [&[][..], &[sql::sqlite::SET_APPLICATION_ID], &[sql::sqlite::SET_APPLICATION_ID, table]] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("offramp.db");
        std::fs::write(&path, "").unwrap();
        let pool = connect(&path).await;
        for step in steps {
            sqlx::raw_sql(*step).execute(&pool).await.unwrap();
        }
        pool.close().await;
        let store = open(&path).await.unwrap();
        assert!(matches!(store.reader().sweep("last").await, Err(LookupError::NoSweeps)));
    }
}

#[tokio::test]
async fn a_second_coordinator_is_refused_and_told_by_whom() {
    let first = Fixture::sqlite().await;
    let error = refusal(first.home.path()).await;
    let expected = format!("another coordinator (process {}) is using `{}`", std::process::id(), first.home.path().display());
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().unwrap().contains("end it first"));
    let alias = first.home.path().with_file_name("alias.db");
    std::os::unix::fs::symlink(first.home.path(), &alias).unwrap();
    assert!(matches!(refusal(&alias).await, OpenError::Locked { .. }), "by another way to the same file");
    let home = close(first).await;
    open(home.path()).await.expect("the lock went with its holder");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let store = Fixture::sqlite().await;
    store
        .execute("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'later', 1, x'00', 0)")
        .await;
    let home = close(store).await;
    let path = home.path();
    let before = bytes(path);
    let expected = format!("`{}` has schema version 99, this build knows versions up to {}", path.display(), newest_schema());
    for error in [refusal(path).await, read(path).await.err().unwrap()] {
        assert_eq!(error.to_string(), expected);
        assert!(error.hint().unwrap().contains("upgrade"));
    }
    assert_eq!(bytes(path), before);
}

#[tokio::test]
async fn readers_do_not_migrate() {
    let store = Fixture::sqlite().await;
    store.execute("DELETE FROM _sqlx_migrations WHERE version > 1").await;
    let home = close(store).await;
    let path = home.path();
    let before = bytes(path);
    let error = read(path).await.err().unwrap();
    assert_eq!(error.to_string(), format!("`{}` has schema version 1, this build reads version {}", path.display(), newest_schema()));
    assert_eq!(bytes(path), before);
}

#[tokio::test]
async fn other_files_are_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let foreign = folder.path().join("foreign.db");
    let pool = connect(&foreign).await;
    sqlx::raw_sql("CREATE TABLE bookmarks (url TEXT)").execute(&pool).await.unwrap();
    pool.close().await;
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "not a database, but longer than the header of one, which has a hundred bytes.\n".repeat(9)).unwrap();
    for path in [foreign, text] {
        let before = bytes(&path);
        for error in [refusal(&path).await, read(&path).await.err().unwrap()] {
            assert_eq!(error.to_string(), format!("`{}` is not an Offramp database", path.display()), "{error:?}");
        }
        assert_eq!(bytes(&path), before);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no lock file either");
}

#[tokio::test]
async fn readers_create_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("none.db");
    let error = read(&path).await.err().unwrap();
    assert_eq!(error.to_string(), format!("there is no database at `{}`", path.display()));
    assert!(error.hint().unwrap().contains("offramp up"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    std::fs::write(&path, "").unwrap();
    assert!(matches!(read(&path).await, Err(OpenError::Foreign(_))), "an empty file is no database yet");
    assert_eq!(bytes(&path), b"");
}

#[tokio::test]
async fn readers_read_with_and_without_a_coordinator() {
    let store = Fixture::sqlite().await;
    store.submit_text(&sweep_text("a", r#"["none"]"#, "[0, 1]")).await;
    let reader = read(store.home.path()).await.unwrap();
    assert_eq!(reader.sweep("last").await.unwrap().n_queued, 2);
    let session = store.session("w").await;
    store.complete_next(session, &[(1.0, 0.5)]).await;
    assert_eq!(reader.sweep("last").await.unwrap().n_succeeded, 1, "what was committed since");
    reader.close().await;
    let home = close(store).await;
    let reader = read(home.path()).await.unwrap();
    assert_eq!(reader.frontier(FrontierFilter::of_sweep(1, CostMetric::MacsCascade)).await.unwrap().len(), 1);
    is_read_only(&reader).await;
}

/// Nothing can be changed by way of a reader.
async fn is_read_only(reader: &Reader) {
    let mut tx = reader.pool().begin_writing().await.unwrap();
    let refused = tx.run(statement("DELETE FROM frontier"), []).await.unwrap_err();
    assert!(matches!(DatabaseError::from(refused), DatabaseError::ReadOnly(_)));
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = refusal(&file.join("sub/offramp.db")).await;
    assert_eq!(error.to_string(), format!("cannot create the directory `{}`", file.join("sub").display()));
    assert!(error.hint().unwrap().contains("--database"));
    // A directory where the file should be.
    let error = refusal(folder.path()).await;
    assert!(matches!(&error, OpenError::Database { source: DatabaseError::Io(_), .. }), "{error:?}");
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn a_full_disk_is_told_and_survived() {
    let store = Fixture::sqlite().await;
    let kept = sweep_text("kept", r#"["none"]"#, "0");
    store.submit_text(&kept).await;
    // No page more than there are: what SQLite says then is what it says when the disk is full.
    store.execute("PRAGMA max_page_count = 1").await;
    let big = sweep_text("big", r#"["none", "constant"]"#, &format!("{:?}", (0..200).collect::<Vec<u32>>()));
    let error = store.submit(&parse(&big), &big, &by("somebody"), START_US).await.unwrap_err();
    assert!(matches!(error, SubmitError::Database(DatabaseError::Full(_))), "{error:?}");
    assert!(error.hint().unwrap().contains("free some space"));
    assert_eq!(store.count("jobs").await, 1, "nothing of it was kept");

    store.execute("PRAGMA max_page_count = 1000000").await;
    assert!(store.submit_text(&big).await.created, "and goes on without a restart");
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_by_itself_does_not_end_the_store() {
    let store = Fixture::sqlite().await;
    let mut tx = store.begin().await.unwrap();
    // What SQLite does, unasked, on some errors.
    tx.run(statement("ROLLBACK"), []).await.unwrap();
    drop(tx);
    store.session("w").await;
}

#[tokio::test]
async fn a_foreign_writer_is_waited_for_and_then_named() {
    let store = Fixture::sqlite().await;
    store.submit_text(&sweep_text("a", r#"["none"]"#, "0")).await;
    let foreign = connect(store.home.path()).await;
    let held = foreign.begin_with("BEGIN IMMEDIATE").await.unwrap();
    sqlx::raw_sql("PRAGMA busy_timeout = 1").execute(writer(&store)).await.unwrap();
    let error = store.open_session(&new_session("w", false), START_US).await.unwrap_err();
    assert!(matches!(error, OpenSessionError::Database(DatabaseError::Busy(_))), "{error:?}");
    held.rollback().await.unwrap();
    store.session("w").await;
}
