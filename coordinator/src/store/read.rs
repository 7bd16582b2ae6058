//! Everything that is read, as rows of the views.

use offramp_domain::job::JobKey;
use offramp_domain::lifecycle::State;
use offramp_proto::v1;

use super::engine::{Pool, Row, args};
use super::error::DatabaseError;
use super::frontier::FrontierFilter;
use super::open::{self, OpenError};
use super::{rows, sql};
use crate::config::Database;

/// The database as anyone may read it.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: Pool,
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
    /// Opens a database to read, whether or not a coordinator is using it. Changes and creates nothing.
    ///
    /// # Errors
    /// When there is none, it is not an Offramp database, its schema is of another version than this build reads, or the file system refuses.
    pub async fn open(database: &Database) -> Result<Self, OpenError> {
        Ok(Self::new(open::read_only(database).await?))
    }

    pub(super) const fn new(pool: Pool) -> Self {
        Self { pool }
    }

    pub(super) const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The versions of the database engine, as `SQLite 3.51.3`, and of the schema.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn versions(&self) -> Result<(String, i64), DatabaseError> {
        let engine = self.pool.one(sql::SERVER_VERSION, []).await?.get("version")?;
        Ok((engine, self.pool.one(sql::SCHEMA_VERSION, []).await?.get("version")?))
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
        decode(&self.pool.all(sql::LIST_SWEEPS, args![limit]).await?, rows::sweep)
    }

    /// The sweep that `selector` means: `last`, an id, or a name (the newest of that name).
    ///
    /// # Errors
    /// When there is none, and those of the database.
    pub async fn sweep(&self, selector: &str) -> Result<v1::SweepRow, LookupError> {
        if selector == "last" {
            let newest: Option<i64> = self.pool.one(sql::NEWEST_SWEEP, []).await?.get("sweep")?;
            return self.sweep_by_id(newest.ok_or(LookupError::NoSweeps)?).await?.ok_or(LookupError::NoSweeps);
        }
        if let Ok(id) = selector.parse()
            && let Some(sweep) = self.sweep_by_id(id).await?
        {
            return Ok(sweep);
        }
        let named: Option<i64> = self.pool.one(sql::NEWEST_SWEEP_NAMED, args![selector]).await?.get("sweep")?;
        let missing = || LookupError::NoSuchSweep(selector.chars().take(100).collect());
        self.sweep_by_id(named.ok_or_else(missing)?).await?.ok_or_else(missing)
    }

    async fn sweep_by_id(&self, id: i64) -> Result<Option<v1::SweepRow>, sqlx::Error> {
        let row = self.pool.optional(sql::SWEEP_BY_ID, args![id]).await?;
        row.as_ref().map(rows::sweep).transpose()
    }

    /// A sweep's file as it was submitted.
    ///
    /// # Errors
    /// When there is no such sweep, and those of the database.
    pub async fn sweep_file(&self, id: i64) -> Result<v1::SweepFile, LookupError> {
        let row = self.pool.optional(sql::FILE_OF_SWEEP, args![id]).await?;
        let row = row.ok_or_else(|| LookupError::NoSuchSweep(id.to_string()))?;
        Ok(v1::SweepFile { text: row.get("text")?, submitted_by: row.get("submitted_by")? })
    }

    /// A sweep's counts and running jobs at one moment.
    ///
    /// # Errors
    /// When there is no such sweep, and those of the database.
    pub async fn sweep_activity(&self, id: i64) -> Result<SweepActivity, LookupError> {
        let mut tx = self.pool.begin_reading().await?;
        let sweep = tx.optional(sql::SWEEP_BY_ID, args![id]).await?;
        let sweep = sweep.ok_or_else(|| LookupError::NoSuchSweep(id.to_string()))?;
        let running = tx.all(sql::RUNNING_JOBS, args![id]).await?;
        Ok(SweepActivity { sweep: rows::sweep(&sweep)?, running: decode(&running, rows::running_job)? })
    }

    /// Jobs: a sweep's in its order, or all, oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn jobs(&self, filter: JobsFilter) -> Result<Vec<v1::JobRow>, DatabaseError> {
        let state = filter.state.map_or("", State::as_str);
        // An offset past the signed range is past every row.
        let offset = i64::try_from(filter.offset).unwrap_or(i64::MAX);
        let jobs = match filter.sweep {
            Some(sweep) => self.pool.all(sql::LIST_SWEEP_JOBS, args![sweep, state, filter.limit, offset]).await?,
            None => self.pool.all(sql::LIST_JOBS, args![state, filter.limit, offset]).await?,
        };
        decode(&jobs, rows::job)
    }

    /// All that is known of the one job whose id or key begins with `prefix`.
    ///
    /// # Errors
    /// When no job's or several jobs' do, and those of the database.
    pub async fn job(&self, prefix: &str) -> Result<v1::JobDetail, LookupError> {
        let key = self.job_key(prefix).await?;
        let id = key.id();
        let mut tx = self.pool.begin_reading().await?;
        let job = tx.one(sql::JOB_BY_KEY, args![key.as_str()]).await?;
        let config = tx.one(sql::CONFIG_OF_JOB, args![key.as_str()]).await?;
        let attempts = tx.all(sql::ATTEMPTS_OF_JOB, args![id]).await?;
        let exits = tx.all(sql::EXITS_OF_JOB, args![id]).await?;
        let points = tx.all(sql::POINTS_OF_JOB, args![id]).await?;
        let artifacts = tx.all(sql::ARTIFACTS_OF_JOB, args![id]).await?;
        let epochs = tx.all(sql::EPOCHS_OF_JOB, args![key.as_str()]).await?;
        let events = tx.all(sql::EVENTS_OF_JOB, args![id]).await?;
        let dependencies = tx.all(sql::DEPENDENCIES_OF_JOB, args![key.as_str()]).await?;
        Ok(v1::JobDetail {
            job: Some(rows::job(&job)?),
            config_json: config.get("config")?,
            attempts: decode(&attempts, rows::attempt)?,
            exits: decode(&exits, rows::exit)?,
            artifacts: decode(&artifacts, rows::artifact)?,
            operating_points: decode(&points, rows::operating_point)?,
            epochs: decode(&epochs, rows::epoch)?,
            events: decode(&events, rows::event)?,
            dependencies: decode(&dependencies, rows::dependency)?,
        })
    }

    /// The key of the one job whose id or key begins with `prefix`.
    pub(crate) async fn job_key(&self, prefix: &str) -> Result<JobKey, LookupError> {
        let missing = || LookupError::NoSuchJob(prefix.chars().take(100).collect());
        let is_prefix = (1..=32).contains(&prefix.len()) && prefix.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_prefix {
            return Err(missing());
        }
        // `g` follows the last hexadecimal digit.
        let keys = self.pool.all(sql::KEYS_BY_PREFIX, args![prefix, format!("{prefix}g")]).await?;
        let keys: Vec<String> = keys.iter().map(|row| row.get("key")).collect::<Result<_, sqlx::Error>>()?;
        match keys.as_slice() {
            [] => Err(missing()),
            [key] => JobKey::parse(key).ok_or_else(missing),
            [_, _, ..] => {
                let ids = keys.iter().map(|key| key.chars().take(12).collect()).collect();
                Err(LookupError::AmbiguousJob { prefix: prefix.to_owned(), ids })
            }
        }
    }

    /// Workers' sessions, the newest first, at most `limit`; those that have ended only on request.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn workers(&self, ended: bool, limit: u32) -> Result<Vec<v1::WorkerRow>, DatabaseError> {
        decode(&self.pool.all(sql::LIST_WORKERS, args![ended, limit]).await?, rows::worker)
    }

    /// Frontiers as they stand, one after the other, each cheapest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn frontier(&self, filter: FrontierFilter) -> Result<Vec<v1::FrontierRow>, DatabaseError> {
        decode(&self.pool.all(sql::FRONTIER_POINTS, filter.values()).await?, rows::frontier_point)
    }

    /// The same, and what each of them comes to, at one moment.
    pub(crate) async fn frontiers(&self, filter: FrontierFilter) -> Result<(Vec<v1::FrontierRow>, Vec<v1::FrontierGroup>), DatabaseError> {
        let mut tx = self.pool.begin_reading().await?;
        let points = tx.all(sql::FRONTIER_POINTS, filter.values()).await?;
        let groups = tx.all(sql::STANDING_GROUPS, filter.values()).await?;
        Ok((decode(&points, rows::frontier_point)?, decode(&groups, rows::frontier_group)?))
    }

    /// Every point that is or was on these frontiers, one frontier after the other, each in the order in which they entered.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn frontier_history(&self, filter: FrontierFilter) -> Result<Vec<v1::FrontierHistoryRow>, DatabaseError> {
        decode(&self.pool.all(sql::FRONTIER_HISTORY, filter.values()).await?, rows::frontier_stay)
    }

    /// Per-exit metrics of a sweep's finished jobs, in its order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn exits(&self, sweep: i64) -> Result<Vec<v1::ExitRow>, DatabaseError> {
        decode(&self.pool.all(sql::EXITS_OF_SWEEP, args![sweep]).await?, rows::exit)
    }

    /// A sweep's cells, each over its finished seeds.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn patterns(&self, sweep: i64) -> Result<Vec<v1::PatternRow>, DatabaseError> {
        decode(&self.pool.all(sql::PATTERNS_OF_SWEEP, args![sweep]).await?, rows::pattern)
    }
}

pub(super) fn decode<T>(rows: &[Row], read: fn(&Row) -> Result<T, sqlx::Error>) -> Result<Vec<T>, DatabaseError> {
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}
