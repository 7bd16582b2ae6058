//! Opening a database: for coordinators to write, or for anyone to read.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqlSafeStr};

use super::engine::{self, Pool};
use super::error::DatabaseError;
use super::sql;
use crate::config::{Database, PostgresUrl};

/// A migration: version, what it does, statements.
pub(super) type Step = (i64, &'static str, &'static str);

/// Every migration of SQLite. Versions rise by one, and a line that was released never changes.
pub(super) const SQLITE_MIGRATIONS: &[Step] = &[
    (1, "initial", include_str!("../../../migrations/sqlite/0001_initial.sql")),
    (2, "queue", include_str!("../../../migrations/sqlite/0002_queue.sql")),
    (3, "training", include_str!("../../../migrations/sqlite/0003_training.sql")),
    (4, "evaluation", include_str!("../../../migrations/sqlite/0004_evaluation.sql")),
    (5, "frontiers", include_str!("../../../migrations/sqlite/0005_frontiers.sql")),
    (6, "imports", include_str!("../../../migrations/sqlite/0006_imports.sql")),
];
/// The same of PostgreSQL.
pub(super) const POSTGRES_MIGRATIONS: &[Step] = &[
    (1, "initial", include_str!("../../../migrations/postgres/0001_initial.sql")),
    (2, "queue", include_str!("../../../migrations/postgres/0002_queue.sql")),
    (3, "training", include_str!("../../../migrations/postgres/0003_training.sql")),
    (4, "evaluation", include_str!("../../../migrations/postgres/0004_evaluation.sql")),
    (5, "frontiers", include_str!("../../../migrations/postgres/0005_frontiers.sql")),
    (6, "imports", include_str!("../../../migrations/postgres/0006_imports.sql")),
];

/// What `set_application_id.sql` writes into the file's header: "OFRM".
const APPLICATION_ID: i64 = 0x4f46_524d;
/// Earlier releases can corrupt a database whose WAL is reset while two connections use it (<https://www.sqlite.org/wal.html>).
const LEAST_SQLITE: [u32; 3] = [3, 51, 3];
/// How long a statement waits for another process's lock: longer than a reader's recovery or checkpoint takes, and well below the time that
/// a heartbeat may take (a third of a lease), so that workers hear what is the matter instead of nothing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a request waits for a connection before it is turned away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// The same where connections can be lost: long enough for a server that is restarted, and short enough to be tried again.
const POSTGRES_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Enough for the page and a few clients; readers hinder nobody.
const N_READERS: u32 = 4;
/// One for the batches of reports and claims, and some for what is rare and may take long: submissions, control, the janitor.
const N_POSTGRES_WRITERS: u32 = 4;
/// What a server may take over one statement: the longest, one of thousands of rows, takes a second.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(20);
/// What a transaction of ours waits for a lock: nobody holds one for longer than a batch.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a database file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such file, and a reader creates none.
    #[error("there is no database at `{}`", .0.display())]
    Missing(PathBuf),
    /// The directory for the file could not be made.
    #[error("cannot create the directory `{}`", path.display())]
    CreateDirectory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The lock file beside the database could not be made or read.
    #[error("cannot use the lock file `{}`", path.display())]
    LockFile {
        /// The lock file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another coordinator has the file open.
    #[error("another coordinator{} is using `{}`", holder(*.pid), path.display())]
    Locked {
        /// The database.
        path: PathBuf,
        /// The other coordinator's process, where it left its number.
        pid: Option<u32>,
    },
    /// Some other program's, or none of the engine's at all.
    #[error("`{0}` is not an Offramp database")]
    Foreign(String),
    /// Written by a newer build.
    #[error("`{database}` has schema version {found}, this build knows versions up to {known}")]
    Newer {
        /// The database.
        database: String,
        /// Its schema version.
        found: i64,
        /// The newest version that this build knows.
        known: i64,
    },
    /// Written by an older build and not migrated since; only a reader says so.
    #[error("`{database}` has schema version {found}, this build reads version {known}")]
    Older {
        /// The database.
        database: String,
        /// Its schema version.
        found: i64,
        /// The version that this build reads.
        known: i64,
    },
    /// The SQLite library that this binary was linked with is too old to be trusted with a WAL.
    #[error("SQLite {found} is linked, at least 3.51.3 is needed")]
    OldSqlite {
        /// Its version.
        found: String,
    },
    /// Bringing the schema up to date failed.
    #[error("cannot bring the schema of `{database}` up to date")]
    Migrate {
        /// The database.
        database: String,
        /// Why not.
        source: sqlx::migrate::MigrateError,
    },
    /// The database itself.
    #[error("cannot open `{database}`")]
    Database {
        /// The database.
        database: String,
        /// What is wrong.
        source: DatabaseError,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

impl OpenError {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing(_) => Some("run a sweep first (`offramp up SWEEP.toml`), or name the database with `--database sqlite:PATH`"),
            Self::CreateDirectory { .. } | Self::LockFile { .. } => {
                Some("make the directory writable, or choose another database with `--database sqlite:PATH`")
            }
            Self::Locked { .. } => Some("use that coordinator, or end it first; reading needs no lock"),
            Self::Foreign(_) => Some("choose another with `--database`; this one was left as it is"),
            Self::Newer { .. } => Some("upgrade this installation of Offramp; the database was left as it is"),
            Self::Older { .. } => Some("start a coordinator of this build on it once: that brings the schema up to date"),
            Self::OldSqlite { .. } => Some("build with the bundled SQLite"),
            Self::Migrate { .. } => None,
            Self::Database { source, .. } => source.hint(),
        }
    }
}

/// Held for as long as a coordinator has the database open; the operating system lets go of it when the process dies.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// What a coordinator has of an open database.
pub(super) struct Opened {
    pub(super) writer: Pool,
    pub(super) readers: Pool,
    /// Keeps other coordinators out, where only one may write.
    pub(super) lock: Option<Lock>,
}

/// Opens a database to write, and makes what is missing: the file and its directory, the tables. A SQLite file is this process's alone; a
/// PostgreSQL database may be shared by several coordinators.
pub(super) async fn read_write(database: &Database) -> Result<Opened, OpenError> {
    match database {
        Database::Sqlite(path) => read_write_sqlite(path).await,
        Database::Postgres(url) => read_write_postgres(url).await,
    }
}

/// Opens a database to read, whether or not a coordinator has it open. Changes and creates nothing.
pub(super) async fn read_only(database: &Database) -> Result<Pool, OpenError> {
    match database {
        Database::Sqlite(path) => Ok(Pool::Sqlite(read_only_sqlite(path).await?)),
        Database::Postgres(url) => Ok(Pool::Postgres(read_only_postgres(url).await?)),
    }
}

async fn read_write_sqlite(path: &Path) -> Result<Opened, OpenError> {
    // Looked at before anything is written: not even a lock file is left beside a file that is refused.
    if path.exists() {
        let first = pool(1, options(path)).await.map_err(|error| open_error(path, error))?;
        let checked = check(&first, path).await;
        first.close().await;
        checked?;
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(|source| OpenError::CreateDirectory { path: parent.to_owned(), source })?;
    }
    let lock = take_lock(path)?;
    let writing = options(path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    migrate_sqlite(path, writing.clone()).await?;
    let writer = pool(1, writing).await.map_err(|error| open_error(path, error))?;
    let readers = pool(N_READERS, options(path).read_only(true)).await.map_err(|error| open_error(path, error))?;
    Ok(Opened { writer: Pool::Sqlite(writer), readers: Pool::Sqlite(readers), lock: Some(lock) })
}

/// Brings a file's schema up to date, over a connection without foreign keys: tables that others refer to are made anew on the way, and SQLite
/// takes dropping the old one for deleting its rows.
async fn migrate_sqlite(path: &Path, writing: SqliteConnectOptions) -> Result<(), OpenError> {
    let migrating = pool(1, writing.foreign_keys(false)).await.map_err(|error| open_error(path, error))?;
    if check(&migrating, path).await?.is_none() {
        // Before anything else is in the file: a process that dies in between leaves one that the next process takes for its own.
        sqlx::query(sql::sqlite::SET_APPLICATION_ID).execute(&migrating).await.map_err(|error| open_error(path, error.into()))?;
    }
    let migrated = migrator(SQLITE_MIGRATIONS).run(&migrating).await;
    migrating.close().await;
    migrated.map_err(|source| migrate_error(path.display().to_string(), source))
}

async fn read_only_sqlite(path: &Path) -> Result<SqlitePool, OpenError> {
    if !path.is_file() {
        return Err(OpenError::Missing(path.to_owned()));
    }
    let readers = match pool(N_READERS, options(path).read_only(true)).await {
        // A WAL database needs its shared-memory file even to be read. Where that cannot be made, nobody can write either, and
        // without a WAL the file alone is the whole truth.
        Err(DatabaseError::Io(_) | DatabaseError::ReadOnly(_)) if !beside(path, "-wal").exists() => {
            pool(N_READERS, options(path).read_only(true).immutable(true)).await
        }
        opened => opened,
    };
    let readers = readers.map_err(|error| open_error(path, error))?;
    let found = check(&readers, path).await?;
    not_older(path.display().to_string(), found, SQLITE_MIGRATIONS)?;
    Ok(readers)
}

async fn read_write_postgres(url: &PostgresUrl) -> Result<Opened, OpenError> {
    let writer = postgres_pool(url, N_POSTGRES_WRITERS, writing_options(url)).await?;
    check_postgres(&writer, url).await?;
    // Takes an advisory lock: of coordinators that start together, one migrates and the others wait.
    migrator(POSTGRES_MIGRATIONS).run(&writer).await.map_err(|source| migrate_error(url.to_string(), source))?;
    let readers = postgres_pool(url, N_READERS, reading_options(url)).await?;
    Ok(Opened { writer: Pool::Postgres(writer), readers: Pool::Postgres(readers), lock: None })
}

async fn read_only_postgres(url: &PostgresUrl) -> Result<PgPool, OpenError> {
    let readers = postgres_pool(url, N_READERS, reading_options(url)).await?;
    let found = check_postgres(&readers, url).await?;
    not_older(url.to_string(), found, POSTGRES_MIGRATIONS)?;
    Ok(readers)
}

fn postgres_options(url: &PostgresUrl) -> PgConnectOptions {
    let ms = |time: Duration| time.as_millis().to_string();
    url.options().application_name("offramp").options([
        ("statement_timeout", ms(STATEMENT_TIMEOUT)),
        ("lock_timeout", ms(LOCK_TIMEOUT)),
        // A coordinator that stands still in the middle of a transaction lets go of its locks.
        ("idle_in_transaction_session_timeout", ms(STATEMENT_TIMEOUT)),
        // What was answered is on disk, whatever the server's default.
        ("synchronous_commit", "on".to_owned()),
        // Whoever waited for a lock, as for that of a sweep's frontier, must then read what its holder left, not what was there before.
        ("default_transaction_isolation", "read committed".to_owned()),
        // Statements here are short, whatever the planner makes of a JSON text's length: compiling one takes longer than running it.
        ("jit", "off".to_owned()),
    ])
}

/// What a coordinator writes it finds by its keys, however many rows there are. The server cannot know: at the time at which statements are
/// planned, tables are often empty that soon hold hundreds of thousands of rows, and to read one that is empty as a whole is cheapest. So these
/// connections plan each statement once, as look-ups in the order in which it names its tables.
fn writing_options(url: &PostgresUrl) -> PgConnectOptions {
    postgres_options(url).options([
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("join_collapse_limit", "1"),
        ("from_collapse_limit", "1"),
        // What counts is how many rows are touched: the pages that hold them are in memory, or soon will be.
        ("seq_page_cost", "0.01"),
        ("random_page_cost", "0.01"),
    ])
}

fn reading_options(url: &PostgresUrl) -> PgConnectOptions {
    postgres_options(url).options([("default_transaction_read_only", "on")])
}

async fn postgres_pool(url: &PostgresUrl, n_connections: u32, options: PgConnectOptions) -> Result<PgPool, OpenError> {
    engine::try_connecting(&options).await.map_err(|error| OpenError::Database { database: url.to_string(), source: error.into() })?;
    let pool = PgPoolOptions::new()
        .max_connections(n_connections)
        .acquire_timeout(POSTGRES_ACQUIRE_TIMEOUT)
        // A server that was restarted has forgotten its connections: found out before a request runs into it.
        .test_before_acquire(true)
        .connect_lazy_with(options);
    Ok(pool)
}

/// The schema version of a PostgreSQL database; `None` where it is empty. Refuses what is not ours and what is newer than this build.
async fn check_postgres(pool: &PgPool, url: &PostgresUrl) -> Result<Option<i64>, OpenError> {
    let database = |error: sqlx::Error| OpenError::Database { database: url.to_string(), source: error.into() };
    let (n_relations, is_ours): (i64, bool) = sqlx::query_as(sql::postgres::WHOSE_SCHEMA).fetch_one(pool).await.map_err(database)?;
    match (n_relations, is_ours) {
        (0, _) => Ok(None),
        (_, false) => Err(OpenError::Foreign(url.to_string())),
        (_, true) => {
            let found: Option<i64> = sqlx::query_scalar(sql::SCHEMA_VERSION.postgres).fetch_one(pool).await.map_err(database)?;
            not_newer(url.to_string(), found, POSTGRES_MIGRATIONS)
        }
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).foreign_keys(true).busy_timeout(BUSY_TIMEOUT)
}

/// A pool whose first connection has read the file's header: opening alone does not touch it.
async fn pool(n_connections: u32, options: SqliteConnectOptions) -> Result<SqlitePool, DatabaseError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(n_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A file does not hang up; asking costs a trip to the connection's thread and back.
        .test_before_acquire(false)
        // After an I/O error SQLite has rolled back by itself; the driver then fails to, and takes the connection to be in a transaction
        // for ever. Such a connection is closed and replaced.
        .before_acquire(|connection, _| Box::pin(std::future::ready(Ok(!connection.is_in_transaction()))))
        .connect_with(options)
        .await?;
    sqlx::query(sql::sqlite::APPLICATION_ID).execute(&pool).await?;
    Ok(pool)
}

/// The schema version of a file; `None` where it is empty. Refuses what is not ours and what is newer than this build.
async fn check(pool: &SqlitePool, path: &Path) -> Result<Option<i64>, OpenError> {
    let database = |error: sqlx::Error| open_error(path, error.into());
    let version: String = sqlx::query_scalar(sql::sqlite::SQLITE_VERSION).fetch_one(pool).await.map_err(database)?;
    if !is_sound(&version) {
        return Err(OpenError::OldSqlite { found: version });
    }
    let n_objects: i64 = sqlx::query_scalar(sql::sqlite::COUNT_OBJECTS).fetch_one(pool).await.map_err(database)?;
    if n_objects == 0 {
        return Ok(None);
    }
    let application_id: i64 = sqlx::query_scalar(sql::sqlite::APPLICATION_ID).fetch_one(pool).await.map_err(database)?;
    if application_id != APPLICATION_ID {
        return Err(OpenError::Foreign(path.display().to_string()));
    }
    let found: Option<i64> = sqlx::query_scalar(sql::SCHEMA_VERSION.sqlite).fetch_one(pool).await.map_err(database)?;
    not_newer(path.display().to_string(), found, SQLITE_MIGRATIONS)
}

fn not_newer(database: String, found: Option<i64>, migrations: &[Step]) -> Result<Option<i64>, OpenError> {
    match found {
        Some(found) if found > newest(migrations) => Err(OpenError::Newer { database, found, known: newest(migrations) }),
        found => Ok(found),
    }
}

fn not_older(database: String, found: Option<i64>, migrations: &[Step]) -> Result<(), OpenError> {
    match found {
        None => Err(OpenError::Foreign(database)),
        Some(found) if found < newest(migrations) => Err(OpenError::Older { database, found, known: newest(migrations) }),
        Some(_) => Ok(()),
    }
}

/// The newest schema version that this build knows.
fn newest(migrations: &[Step]) -> i64 {
    migrations.iter().map(|(version, ..)| *version).max().expect("there is a first migration")
}

pub(super) fn migrator(migrations: &[Step]) -> Migrator {
    let migration = |&(version, description, statements): &Step| {
        Migration::new(version, description.into(), MigrationType::Simple, statements.into_sql_str(), false)
    };
    Migrator::with_migrations(migrations.iter().map(migration).collect())
}

fn is_sound(version: &str) -> bool {
    let numbers: Vec<u32> = version.split('.').map_while(|number| number.parse().ok()).collect();
    numbers.as_slice() >= LEAST_SQLITE.as_slice()
}

fn open_error(path: &Path, error: DatabaseError) -> OpenError {
    let database = path.display().to_string();
    match error {
        DatabaseError::NotADatabase(_) => OpenError::Foreign(database),
        source => OpenError::Database { database, source },
    }
}

fn migrate_error(database: String, error: sqlx::migrate::MigrateError) -> OpenError {
    use sqlx::migrate::MigrateError::{Execute, ExecuteMigration};
    match error {
        // A full disk is a full disk, whatever was being done.
        Execute(source) | ExecuteMigration(source, _) => OpenError::Database { database, source: source.into() },
        source => OpenError::Migrate { database, source },
    }
}

/// The path with `suffix` put after its last component.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Takes the lock, and leaves this process's number in the file for whoever is refused.
fn take_lock(path: &Path) -> Result<Lock, OpenError> {
    // Whatever the way to the file, it has one lock.
    let lock_path = beside(&std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()), ".lock");
    let failed = |source| OpenError::LockFile { path: lock_path.clone(), source };
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&lock_path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The number is a courtesy: a file that cannot be read or parsed refuses just as well.
            let _ = file.read_to_string(&mut text);
            return Err(OpenError::Locked { path: path.to_owned(), pid: text.trim().parse().ok() });
        }
        Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(failed)?;
    Ok(Lock { _file: file })
}
