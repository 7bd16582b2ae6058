//! Sweeps, jobs, leases and results in a SQLite file. The only place that speaks SQL.
//!
//! - [`Store`]: what a coordinator does with it; one process at a time.
//! - [`Reader`]: what anyone may read, with or without a coordinator running.
//!
//! Every write is one `BEGIN IMMEDIATE` transaction, takes `now_us` from its caller, and moves jobs through [`offramp_domain::lifecycle`] alone,
//! under a guard on the state and the attempt that it saw.

mod complete;
mod error;
mod frontier;
mod leases;
mod open;
mod read;
mod rows;
mod sessions;
mod sql;
mod submit;

#[cfg(test)]
pub(crate) mod tests;

use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::{Sqlite, SqlitePool};

pub use self::complete::{CompleteError, Report};
pub use self::error::DatabaseError;
pub use self::frontier::CostMetric;
pub use self::leases::{AttemptRef, Beat, ClaimedJob};
pub use self::open::OpenError;
pub use self::read::{JobsFilter, LookupError, Reader, SweepActivity};
pub use self::sessions::{NewSession, OpenSessionError, SessionError, SessionId};
pub use self::submit::{Preview, Submitted};

/// A write transaction. Dropped without a commit, it leaves nothing behind.
type Transaction = sqlx::Transaction<'static, Sqlite>;

/// The database as the coordinator that owns it sees it. Clones share the connections and the lock.
#[derive(Debug, Clone)]
pub struct Store {
    writer: SqlitePool,
    reader: Reader,
    max_failures: u32,
    _lock: Arc<open::Lock>,
}

impl Store {
    /// Opens the database at `path`, creating it and its directory where they are missing, and brings its schema up to date.
    ///
    /// Jobs may fail `max_failures` times.
    ///
    /// # Errors
    /// When another coordinator has it open, it is not an Offramp database or one of a newer build, or the file system refuses. Nothing is
    /// changed in a file that is refused.
    pub async fn open(path: &Path, max_failures: u32) -> Result<Self, OpenError> {
        let opened = open::read_write(path).await?;
        Ok(Self { writer: opened.writer, reader: Reader::new(opened.readers), max_failures, _lock: Arc::new(opened.lock) })
    }

    /// The reading half.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Closes every connection, after which SQLite has folded the write-ahead log into the file. Waits for transactions that run.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    /// Begins a write. Takes the write lock at once: a transaction that only later turns into a write can be refused without waiting.
    async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }
}
