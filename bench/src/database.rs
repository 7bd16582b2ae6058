//! Databases for one run: made where there is room, gone afterwards.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use futures::TryStreamExt;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Executor};
use tempfile::TempDir;

/// A database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// Where databases are made.
#[derive(Debug)]
pub(crate) struct Site {
    folder: TempDir,
    server: Option<(String, PgConnectOptions)>,
    made: Vec<String>,
}

impl Site {
    pub(crate) fn new(directory: &Path, server: Option<&str>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory).with_context(|| format!("`{}` cannot be made", directory.display()))?;
        let folder =
            TempDir::with_prefix_in("bench-", directory).with_context(|| format!("nothing can be made in `{}`", directory.display()))?;
        let server = match server {
            None => None,
            Some(url) => Some((url.to_owned(), url.parse().with_context(|| format!("`{url}` is no PostgreSQL URL"))?)),
        };
        Ok(Self { folder, server, made: Vec::new() })
    }

    /// Refuses a server that does not write out what it commits: everything would look fast.
    pub(crate) async fn refuse_haste(&self, engine: Engine) -> anyhow::Result<()> {
        if engine == Engine::Sqlite {
            return Ok(());
        }
        let mut connection = self.server()?.1.connect().await?;
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let value: String = sqlx::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(&mut connection).await?;
            if value != "on" {
                bail!(
                    "the PostgreSQL server has `{setting} = {value}`: what it commits may be lost\nhint: measure on a server with `{setting} = on`"
                );
            }
        }
        Ok(connection.close().await?)
    }

    /// Makes an empty database.
    pub(crate) async fn make(&mut self, engine: Engine, name: &str) -> anyhow::Result<Database> {
        match engine {
            Engine::Sqlite => Ok(Database::Sqlite(self.folder.path().join(format!("{name}.db")))),
            Engine::Postgres => {
                let (url, options) = self.server()?;
                let (url, options) = (url.clone(), options.clone());
                let name = format!("offramp_bench_{}_{name}", std::process::id());
                let mut connection = options.connect().await.context("the PostgreSQL server cannot be reached")?;
                connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
                connection.close().await?;
                self.made.push(name.clone());
                Ok(Database::Postgres { url: renamed(&url, &name), options: Box::new(options.database(&name)) })
            }
        }
    }

    /// Removes every database.
    pub(crate) async fn clear(self) -> anyhow::Result<()> {
        if !self.made.is_empty() {
            let mut connection = self.server()?.1.connect().await?;
            for name in &self.made {
                connection.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))).await?;
            }
            connection.close().await?;
        }
        Ok(self.folder.close()?)
    }

    fn server(&self) -> anyhow::Result<&(String, PgConnectOptions)> {
        self.server.as_ref().context("no PostgreSQL server was named")
    }
}

/// The URL with another database's name in it.
fn renamed(url: &str, name: &str) -> String {
    let (address, settings) = url.split_once('?').map_or((url, None), |(address, settings)| (address, Some(settings)));
    let authority = address.find("://").map_or(0, |at| at + 3);
    let end = address[authority..].find('/').map_or(address.len(), |at| authority + at);
    let settings = settings.map_or_else(String::new, |settings| format!("?{settings}"));
    format!("{}/{name}{settings}", &address[..end])
}

/// A database of this run.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    Sqlite(PathBuf),
    Postgres { url: String, options: Box<PgConnectOptions> },
}

impl Database {
    /// As the coordinator's `--database` takes it.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres { url, .. } => url.clone(),
        }
    }

    /// Opens a connection as durable as the coordinator's.
    pub(crate) async fn connect(&self) -> anyhow::Result<Connection> {
        Ok(match self {
            Self::Sqlite(path) => {
                let options = SqliteConnectOptions::new().filename(path).foreign_keys(true);
                let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full).disable_statement_logging();
                Connection::Sqlite(options.connect().await?)
            }
            Self::Postgres { options, .. } => {
                let options = options.as_ref().clone().options(PLAINLY).disable_statement_logging();
                Connection::Postgres(options.connect().await?)
            }
        })
    }

    /// Opens a connection for questions about everything, which the planner may go about as it likes.
    pub(crate) async fn ask(&self) -> anyhow::Result<Connection> {
        match self {
            Self::Sqlite(_) => self.connect().await,
            Self::Postgres { options, .. } => {
                Ok(Connection::Postgres(options.as_ref().clone().disable_statement_logging().connect().await?))
            }
        }
    }

    /// Lets the planner know of the results that were accepted, as the server does by itself; empties the log.
    pub(crate) async fn settle_results(&self) -> anyhow::Result<()> {
        let mut connection = self.connect().await?;
        match self {
            Self::Sqlite(_) => connection.run("PRAGMA wal_checkpoint(PASSIVE)").await?,
            Self::Postgres { .. } => {
                connection.run("VACUUM (ANALYZE)").await?;
                connection.run("CHECKPOINT").await?;
            }
        }
        connection.close().await
    }

    /// Lets the planner know what a submission has put into the tables, as the server does by itself within a minute, and nothing of tables that
    /// are still empty; empties the log.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        let mut connection = self.connect().await?;
        match self {
            Self::Sqlite(_) => connection.run("PRAGMA wal_checkpoint(PASSIVE)").await?,
            Self::Postgres { .. } => {
                connection.run("VACUUM (ANALYZE) sweeps, jobs, exits, job_states, sweep_jobs").await?;
                connection.run("CHECKPOINT").await?;
            }
        }
        connection.close().await
    }
}

/// As durable as the coordinator's connections, and with plans that are made once and look rows up by their keys: what is best for the loops.
const PLAINLY: [(&str, &str); 10] = [
    ("synchronous_commit", "on"),
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("join_collapse_limit", "1"),
    ("from_collapse_limit", "1"),
    ("seq_page_cost", "0.01"),
    ("random_page_cost", "0.01"),
];

/// A connection.
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    /// Runs a statement.
    pub(crate) async fn run(&mut self, statement: &str) -> anyhow::Result<()> {
        let statement = AssertSqlSafe(statement.to_owned());
        match self {
            Self::Sqlite(on) => on.execute(statement).await.map(drop)?,
            Self::Postgres(on) => on.execute(statement).await.map(drop)?,
        }
        Ok(())
    }

    /// The one number that a statement answers with.
    pub(crate) async fn number(&mut self, statement: &str) -> anyhow::Result<i64> {
        let statement = AssertSqlSafe(statement.to_owned());
        Ok(match self {
            Self::Sqlite(on) => sqlx::query_scalar(statement).fetch_one(on).await?,
            Self::Postgres(on) => sqlx::query_scalar(statement).fetch_one(on).await?,
        })
    }

    /// The one text that a statement answers with.
    pub(crate) async fn text(&mut self, statement: &str) -> anyhow::Result<String> {
        let statement = AssertSqlSafe(statement.to_owned());
        Ok(match self {
            Self::Sqlite(on) => sqlx::query_scalar(statement).fetch_one(on).await?,
            Self::Postgres(on) => sqlx::query_scalar(statement).fetch_one(on).await?,
        })
    }

    /// The rows of a statement that answers with two numbers a row.
    pub(crate) async fn pairs(&mut self, statement: &str) -> anyhow::Result<Vec<(f64, f64)>> {
        let statement = AssertSqlSafe(statement.to_owned());
        Ok(match self {
            Self::Sqlite(on) => sqlx::query_as::<_, (f64, f64)>(statement).fetch(on).try_collect().await?,
            Self::Postgres(on) => sqlx::query_as::<_, (f64, f64)>(statement).fetch(on).try_collect().await?,
        })
    }

    /// Takes in every row that a statement answers with; how many they were.
    pub(crate) async fn count(&mut self, statement: &str) -> anyhow::Result<u64> {
        let statement = AssertSqlSafe(statement.to_owned());
        let one = |n_rows: u64| std::future::ready(Ok(n_rows + 1));
        Ok(match self {
            Self::Sqlite(on) => sqlx::query(statement).fetch(on).try_fold(0, |n_rows, _| one(n_rows)).await?,
            Self::Postgres(on) => sqlx::query(statement).fetch(on).try_fold(0, |n_rows, _| one(n_rows)).await?,
        })
    }

    /// Runs a prepared statement with one text.
    pub(crate) async fn run_with(&mut self, statement: &str, text: &str) -> anyhow::Result<()> {
        let statement = AssertSqlSafe(statement.to_owned());
        match self {
            Self::Sqlite(on) => sqlx::query(statement).bind(text.to_owned()).execute(on).await.map(drop)?,
            Self::Postgres(on) => sqlx::query(statement).bind(text).execute(on).await.map(drop)?,
        }
        Ok(())
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(connection) => connection.close().await?,
            Self::Postgres(connection) => connection.close().await?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::renamed;

    #[test]
    fn urls_take_another_database() {
        assert_eq!(renamed("postgres://me@host:5433/postgres", "x"), "postgres://me@host:5433/x");
        assert_eq!(renamed("postgres://host", "x"), "postgres://host/x");
        assert_eq!(renamed("postgres://me@/postgres?host=/run/a/b&port=5433", "x"), "postgres://me@/x?host=/run/a/b&port=5433");
    }
}
