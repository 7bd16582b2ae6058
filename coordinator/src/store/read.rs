//! Everything that is read, as rows of the views.

use std::path::Path;

use offramp_domain::job::JobKey;
use offramp_domain::lifecycle::State;
use offramp_proto::v1;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::error::DatabaseError;
use super::frontier::CostMetric;
use super::open::{self, OpenError};
use super::{rows, sql};

/// The database as anyone may read it.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: SqlitePool,
}

/// Which jobs to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobsFilter {
    /// Those of one sweep, by id.
    pub sweep: Option<i64>,
    /// Those in one state.
    pub state: Option<State>,
    /// At most this many.
    pub limit: u32,
    /// Pass this many over.
    pub offset: u64,
}

/// A sweep's counts, and the jobs being worked on.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepActivity {
    /// The counts.
    pub sweep: v1::SweepRow,
    /// Leased jobs in the sweep's order, each with its whole key; slot and progress are not stored.
    pub running: Vec<(String, v1::RunningJob)>,
}

/// Why there was nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The database holds no sweep at all.
    #[error("there is no sweep yet")]
    NoSweeps,
    /// No sweep has this id or name.
    #[error("no sweep is called `{}`", .0.escape_debug())]
    NoSuchSweep(String),
    /// No job's id begins so.
    #[error("no job's id begins with `{}`", .0.escape_debug())]
    NoSuchJob(String),
    /// Several jobs' ids begin so.
    #[error("several jobs' ids begin with `{prefix}`: `{}`, ...", ids.join("`, `"))]
    AmbiguousJob {
        /// What was asked for.
        prefix: String,
        /// Some of them.
        ids: Vec<String>,
    },
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl LookupError {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoSweeps => Some("submit one: `offramp up SWEEP.toml`, or `offramp sweep submit SWEEP.toml`"),
            Self::NoSuchSweep(_) => Some("`offramp sweep list` shows ids and names; `last` is the newest"),
            Self::NoSuchJob(_) => Some("`offramp job list` shows the ids"),
            Self::AmbiguousJob { .. } => Some("give more digits"),
            Self::Database(error) => error.hint(),
        }
    }
}

impl From<sqlx::Error> for LookupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Reader {
    /// Opens the database at `path` to read, whether or not a coordinator is using it. Changes and creates nothing.
    ///
    /// # Errors
    /// When there is none, it is not an Offramp database, its schema is of another version than this build reads, or the file system refuses.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        Ok(Self::new(open::read_only(path).await?))
    }

    pub(super) const fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }

    pub(super) const fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// The versions of the SQLite library and of the file's schema.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn versions(&self) -> Result<(String, i64), DatabaseError> {
        let sqlite = sqlx::query_scalar(sql::SQLITE_VERSION).fetch_one(&self.pool).await?;
        Ok((sqlite, sqlx::query_scalar(sql::SCHEMA_VERSION).fetch_one(&self.pool).await?))
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Sweeps, newest first, at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sweeps(&self, limit: u32) -> Result<Vec<v1::SweepRow>, DatabaseError> {
        decode(&sqlx::query(sql::LIST_SWEEPS).bind(limit).fetch_all(&self.pool).await?, rows::sweep)
    }

    /// The sweep that `selector` means: `last`, an id, or a name (the newest of that name).
    ///
    /// # Errors
    /// When there is none, and those of the database.
    pub async fn sweep(&self, selector: &str) -> Result<v1::SweepRow, LookupError> {
        if selector == "last" {
            let newest: Option<i64> = sqlx::query_scalar(sql::NEWEST_SWEEP).fetch_one(&self.pool).await?;
            return self.sweep_by_id(newest.ok_or(LookupError::NoSweeps)?).await?.ok_or(LookupError::NoSweeps);
        }
        if let Ok(id) = selector.parse()
            && let Some(sweep) = self.sweep_by_id(id).await?
        {
            return Ok(sweep);
        }
        let named: Option<i64> = sqlx::query_scalar(sql::NEWEST_SWEEP_NAMED).bind(selector).fetch_one(&self.pool).await?;
        let missing = || LookupError::NoSuchSweep(selector.chars().take(100).collect());
        self.sweep_by_id(named.ok_or_else(missing)?).await?.ok_or_else(missing)
    }

    async fn sweep_by_id(&self, id: i64) -> Result<Option<v1::SweepRow>, sqlx::Error> {
        let row = sqlx::query(sql::SWEEP_BY_ID).bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(rows::sweep).transpose()
    }

    /// A sweep's counts and running jobs at one moment.
    ///
    /// # Errors
    /// When there is no such sweep, and those of the database.
    pub async fn sweep_activity(&self, id: i64) -> Result<SweepActivity, LookupError> {
        let mut tx = self.pool.begin().await?;
        let sweep = sqlx::query(sql::SWEEP_BY_ID).bind(id).fetch_optional(&mut *tx).await?;
        let sweep = sweep.ok_or_else(|| LookupError::NoSuchSweep(id.to_string()))?;
        let running = sqlx::query(sql::RUNNING_JOBS).bind(id).fetch_all(&mut *tx).await?;
        Ok(SweepActivity { sweep: rows::sweep(&sweep)?, running: decode(&running, rows::running_job)? })
    }

    /// Jobs: a sweep's in its order, or all, oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn jobs(&self, filter: JobsFilter) -> Result<Vec<v1::JobRow>, DatabaseError> {
        let state = filter.state.map_or("", State::as_str);
        let query = match filter.sweep {
            Some(sweep) => sqlx::query(sql::LIST_SWEEP_JOBS).bind(sweep),
            None => sqlx::query(sql::LIST_JOBS),
        };
        // An offset past the signed range is past every row.
        let offset = i64::try_from(filter.offset).unwrap_or(i64::MAX);
        decode(&query.bind(state).bind(filter.limit).bind(offset).fetch_all(&self.pool).await?, rows::job)
    }

    /// All that is known of the one job whose id or key begins with `prefix`.
    ///
    /// # Errors
    /// When no job's or several jobs' do, and those of the database.
    pub async fn job(&self, prefix: &str) -> Result<v1::JobDetail, LookupError> {
        let key = self.job_key(prefix).await?;
        let id = key.id();
        let mut tx = self.pool.begin().await?;
        let job = sqlx::query(sql::JOB_BY_KEY).bind(key.as_str()).fetch_one(&mut *tx).await?;
        let config_json = sqlx::query_scalar(sql::CONFIG_OF_JOB).bind(key.as_str()).fetch_one(&mut *tx).await?;
        let attempts = sqlx::query(sql::ATTEMPTS_OF_JOB).bind(id).fetch_all(&mut *tx).await?;
        let exits = sqlx::query(sql::EXITS_OF_JOB).bind(id).fetch_all(&mut *tx).await?;
        let points = sqlx::query(sql::POINTS_OF_JOB).bind(id).fetch_all(&mut *tx).await?;
        let epochs = sqlx::query(sql::EPOCHS_OF_JOB).bind(key.as_str()).fetch_all(&mut *tx).await?;
        Ok(v1::JobDetail {
            job: Some(rows::job(&job)?),
            config_json,
            attempts: decode(&attempts, rows::attempt)?,
            exits: decode(&exits, rows::exit)?,
            operating_points: decode(&points, rows::operating_point)?,
            epochs: decode(&epochs, rows::epoch)?,
        })
    }

    async fn job_key(&self, prefix: &str) -> Result<JobKey, LookupError> {
        let missing = || LookupError::NoSuchJob(prefix.chars().take(100).collect());
        let is_prefix = (1..=32).contains(&prefix.len()) && prefix.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_prefix {
            return Err(missing());
        }
        // `g` follows the last hexadecimal digit.
        let keys: Vec<String> =
            sqlx::query_scalar(sql::KEYS_BY_PREFIX).bind(prefix).bind(format!("{prefix}g")).fetch_all(&self.pool).await?;
        match keys.as_slice() {
            [] => Err(missing()),
            [key] => JobKey::parse(key).ok_or_else(missing),
            [_, _, ..] => {
                let ids = keys.iter().map(|key| key.chars().take(12).collect()).collect();
                Err(LookupError::AmbiguousJob { prefix: prefix.to_owned(), ids })
            }
        }
    }

    /// A sweep's frontier under a metric, cheapest first within each dataset.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn frontier(&self, sweep: i64, metric: CostMetric) -> Result<Vec<v1::FrontierRow>, DatabaseError> {
        let query = sqlx::query(sql::FRONTIER_OF_SWEEP).bind(sweep).bind(metric.as_str());
        decode(&query.fetch_all(&self.pool).await?, rows::frontier_point)
    }

    /// Per-exit metrics of a sweep's finished jobs, in its order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn exits(&self, sweep: i64) -> Result<Vec<v1::ExitRow>, DatabaseError> {
        decode(&sqlx::query(sql::EXITS_OF_SWEEP).bind(sweep).fetch_all(&self.pool).await?, rows::exit)
    }

    /// A sweep's cells, each over its finished seeds.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn patterns(&self, sweep: i64) -> Result<Vec<v1::PatternRow>, DatabaseError> {
        decode(&sqlx::query(sql::PATTERNS_OF_SWEEP).bind(sweep).fetch_all(&self.pool).await?, rows::pattern)
    }
}

fn decode<T>(rows: &[SqliteRow], read: fn(&SqliteRow) -> Result<T, sqlx::Error>) -> Result<Vec<T>, DatabaseError> {
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}
