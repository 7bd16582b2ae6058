//! Sweeps, jobs, leases and results in a SQLite file or a PostgreSQL database. The only place that speaks SQL.
//!
//! - [`Store`]: what a coordinator does with it.
//! - [`Reader`]: what anyone may read, with or without a coordinator running.
//!
//! Inside, from the outside in: `batch` is what workers do all day (claims, heartbeats, reports), many requests a transaction; `leases` takes back
//! what was lost; `submit`, `control` and `dependencies` are what people do; `frontier` keeps frontiers; `explain` says why a job does not run;
//! `compare` answers what one factor changes; `select` streams the rows of any view; `exchange` and `import` are for other databases;
//! `engine` is the two databases behind one face, `sql` every statement.
//!
//! Every write is one transaction, takes `now_us` from its caller, and moves jobs through [`offramp_domain::lifecycle`] alone, under a guard on the
//! state and the attempt that it saw.

mod batch;
mod claim;
mod compare;
mod control;
mod dependencies;
mod engine;
mod error;
mod exchange;
mod explain;
mod frontier;
mod import;
mod leases;
mod open;
mod placements;
mod read;
mod refusal;
mod removal;
mod report;
mod results;
mod rows;
mod select;
mod sessions;
mod sql;
mod submit;
mod withdrawal;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use offramp_domain::lifecycle::Limits;
use tokio::sync::{Mutex, OwnedMutexGuard};

pub use self::batch::{Applied, AttemptRef, Beat, ClaimedJob, Reply, Request};
pub use self::compare::ComparisonError;
pub use self::control::{ControlError, Controlled, Requester, RetryStates};
pub use self::error::DatabaseError;
pub use self::exchange::{FinishedJobs, SnapshotError};
pub use self::frontier::{CostMetric, FrontierFilter, Grouping};
pub use self::import::{ImportError, ImportRefusal, Imported, Origin};
pub use self::open::OpenError;
pub use self::read::{JobsFilter, LookupError, Reader, SweepActivity};
pub use self::removal::Deleted;
pub use self::report::{Answer, AttemptEnd, AttemptReport};
pub(crate) use self::select::page::{json_value, narrow};
pub use self::select::{Query, QueryError};
pub use self::sessions::{NewSession, OpenSessionError, SessionError, SessionId};
pub use self::submit::{Preview, SubmitError, Submitted};

use self::engine::{Kept, Pool, Transaction};
use self::error::Passing;
use crate::config::Database;
use crate::failpoint::Failpoints;

/// How long a transaction that changes sweeps waits for its turn among all coordinators, milliseconds; below the time of one statement.
const TURN_WAIT_MS: &str = "15000";
/// How long it waits for other locks, as every transaction does.
const LOCK_WAIT_MS: &str = "5000";

/// How often a transaction is tried that somebody waits for: enough for a deadlock, and for a server that was restarted.
const TRIES: usize = 3;

/// The database as a coordinator sees it. Clones share the connections and the lock.
#[derive(Debug, Clone)]
pub struct Store {
    writer: Pool,
    /// The connection of the batches, where they have one of their own.
    batches: Kept,
    reader: Reader,
    limits: Limits,
    /// What claims go by: shared by clones, lost without harm.
    claims: Arc<claim::Course>,
    /// What results are measured against: the same.
    frontiers: Arc<frontier::Known>,
    failpoints: Failpoints,
    /// Held by whoever changes sweeps.
    turns: Arc<Mutex<()>>,
    _lock: Option<Arc<open::Lock>>,
}

impl Store {
    /// Opens a database, creating what is missing (the file and its directory, the tables), and brings its schema up to date.
    ///
    /// # Errors
    /// When another coordinator has the file open, it is not an Offramp database or one of a newer build, or the file system or the server
    /// refuses. Nothing is changed in a database that is refused.
    pub async fn open(database: &Database, limits: Limits) -> Result<Self, OpenError> {
        let opened = open::read_write(database).await?;
        let failed = |error: sqlx::Error| OpenError::Database { database: database.to_string(), source: error.into() };
        let mut tx = opened.writer.begin_writing().await.map_err(failed)?;
        frontier::compute(&mut tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(Self {
            writer: opened.writer,
            batches: Kept::default(),
            reader: Reader::new(opened.readers),
            limits,
            claims: Arc::default(),
            frontiers: Arc::default(),
            failpoints: Failpoints::default(),
            turns: Arc::default(),
            _lock: opened.lock.map(Arc::new),
        })
    }

    /// The same store, with faults on request.
    #[must_use]
    pub fn with_failpoints(self, failpoints: Failpoints) -> Self {
        Self { failpoints, ..self }
    }

    /// Whether other coordinators may use the database at the same time.
    pub fn is_shared(&self) -> bool {
        matches!(self.writer, Pool::Postgres(_))
    }

    /// The reading half.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The time by the database's clock, unix microseconds; `None` where the database has none of its own. For a coordinator's start: several
    /// coordinators on one database then agree on what time it is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn clock_us(&self) -> Result<Option<i64>, DatabaseError> {
        match &self.writer {
            Pool::Sqlite(_) => Ok(None),
            Pool::Postgres(pool) => Ok(Some(sqlx::query_scalar(sql::postgres::CLOCK).fetch_one(pool).await?)),
        }
    }

    /// Closes every connection, after which SQLite has folded the write-ahead log into the file. Waits for transactions that run.
    pub async fn close(&self) {
        self.reader.close().await;
        self.batches.close();
        self.writer.close().await;
    }

    async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        self.writer.begin_writing().await
    }

    /// Commits what `what` wrote.
    async fn commit(&self, tx: Transaction, what: &str) -> Result<(), sqlx::Error> {
        self.failpoints.pass(&format!("{what}.before-commit")).await?;
        tx.commit().await?;
        self.failpoints.pass(&format!("{what}.after-commit")).await
    }

    /// Commits what `what` wrote; the next one may change sweeps after that.
    async fn commit_alone(&self, Alone { tx, _turn: turn }: Alone, what: &str) -> Result<(), sqlx::Error> {
        let committed = self.commit(tx, what).await;
        drop(turn);
        committed
    }

    /// Runs a transaction, and again where it lost against another one or its connection. One whose end was not heard of although it came about
    /// finds nothing left to do the second time, or does again what does no harm twice.
    async fn persist<T, E: Passing, F: Future<Output = Result<T, E>>>(&self, transaction: impl Fn() -> F) -> Result<T, E> {
        // SQLite has waited for the lock already, and has no other reason.
        let tries = if matches!(self.writer, Pool::Postgres(_)) { TRIES } else { 1 };
        for _ in 1..tries {
            match transaction().await {
                Err(error) if error.is_passing() => {}
                done => return done,
            }
        }
        transaction().await
    }

    /// Begins a transaction that changes sweeps; no other one does at the same time.
    async fn begin_alone(&self) -> Result<Alone, sqlx::Error> {
        // First within the process: whoever waits for the server's lock has a connection meanwhile, and the batches need one.
        let turn = Arc::clone(&self.turns).lock_owned().await;
        let mut tx = self.begin().await?;
        // A submission takes its time, and nobody else is held up by waiting for it.
        tx.run_on_postgres(sql::postgres::TAKE_TURNS, engine::args![TURN_WAIT_MS, LOCK_WAIT_MS]).await?;
        Ok(Alone { tx, _turn: turn })
    }
}

/// A transaction that changes sweeps while no other one does.
#[derive(Debug)]
struct Alone {
    tx: Transaction,
    _turn: OwnedMutexGuard<()>,
}

impl Alone {
    /// Ends a transaction that is to change nothing, and passes the answer on. A rollback that is left to the pool comes a moment later, and until
    /// then its locks hide jobs from claims.
    async fn give_up<T>(self, answer: T) -> T {
        // A connection that cannot even roll back is closed by the pool, which comes to the same.
        let _ = self.tx.rollback().await;
        answer
    }
}

impl std::ops::Deref for Alone {
    type Target = Transaction;

    fn deref(&self) -> &Transaction {
        &self.tx
    }
}

impl std::ops::DerefMut for Alone {
    fn deref_mut(&mut self) -> &mut Transaction {
        &mut self.tx
    }
}

/// A bulk parameter: one JSON text instead of thousands of statements. Integers and texts alone travel this way.
fn json<T: serde::Serialize>(rows: &[T]) -> String {
    serde_json::to_string(rows).expect("rows have string keys alone")
}
