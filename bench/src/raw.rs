//! What the database can do at best: the rows of a claim and a completion, written by loops that do nothing else.
//!
//! A loop knows all that the coordinator has to find out: which sweep a job belongs to, that its result is in order, that nothing waits for it,
//! who may claim. It completes the jobs that it has and claims as many new ones in one transaction. What it writes is, row for row, what the
//! coordinator writes (see `audit`). There are two kinds: [`plain::Loops`] send the transaction statement by statement, as clients do; [`Raw`] ones
//! send it in one piece, which is one round trip, and no client of this database can be faster.

pub(crate) mod plain;
mod postgres;
mod sqlite;

use std::time::Duration;

use crate::database::{Connection, Database};
use crate::work::{Results, TRAINER};

/// Far ahead: nobody takes these leases back.
const LEASE_US: i64 = 600_000_000;

/// The loops over one database whose transactions are one round trip.
#[derive(Debug)]
pub(crate) enum Raw {
    /// One connection: SQLite has one writer, and others would wait for it.
    Sqlite(Box<sqlite::Loop>),
    /// One a worker.
    Postgres(postgres::Loops),
}

impl Raw {
    /// Connects to a database that holds one sweep.
    pub(crate) async fn open(database: &Database, n_workers: usize) -> anyhow::Result<Self> {
        match database {
            Database::Sqlite(_) => Ok(Self::Sqlite(Box::new(sqlite::Loop::open(database).await?))),
            Database::Postgres { .. } => Ok(Self::Postgres(postgres::Loops::open(database, n_workers).await?)),
        }
    }

    /// Completes `n_jobs` jobs, `batch` of them a transaction that claims the next ones; how long that took. Then, unmeasured, each loop
    /// completes the last `batch` that it has: nothing stays claimed.
    pub(crate) async fn run(&mut self, results: &Results, n_jobs: u64, batch: usize) -> anyhow::Result<Duration> {
        match self {
            Self::Sqlite(one) => one.run(results, n_jobs, batch).await,
            Self::Postgres(many) => many.run(results, n_jobs, batch).await,
        }
    }

    /// How many loops there are.
    pub(crate) const fn n_loops(&self) -> usize {
        match self {
            Self::Sqlite(_) => 1,
            Self::Postgres(many) => many.len(),
        }
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(one) => one.close().await,
            Self::Postgres(many) => many.close().await,
        }
    }
}

/// What the loops are told once: where jobs are claimed, and for whom.
#[derive(Debug, Clone, Copy)]
struct Place {
    session: i64,
    sweep: i64,
    placement: i64,
}

impl Place {
    /// Opens a session as a worker's would be.
    async fn open(connection: &mut Connection) -> anyhow::Result<Self> {
        let session = format!(
            "INSERT INTO sessions (worker, version, trainer, n_slots, embedded, opened_us, seen_us)
            VALUES ('raw', '0.0.0', '{TRAINER}', 1, 0, 1, 1)
            RETURNING id"
        );
        let sweep = connection.number("SELECT max(id) FROM sweeps").await?;
        // The frontiers that a result of this sweep belongs to; which of them there are is found out once.
        let groups = format!(
            "INSERT INTO frontier_groups (sweep_id, grouping, dataset, backbone, pattern, trainer, cost_metric, reference_accuracy)
            SELECT scopes.sweep_id, groupings.grouping, 'digits', groupings.backbone, groupings.pattern, '', metrics.cost_metric, 0.1
            FROM (SELECT {sweep} AS sweep_id UNION ALL SELECT NULL) AS scopes
            CROSS JOIN (
                SELECT 'dataset' AS grouping, '' AS backbone, '' AS pattern UNION ALL SELECT 'backbone', 'resnet8', ''
                UNION ALL SELECT 'pattern', '', 'none'
            ) AS groupings
            CROSS JOIN (
                SELECT 'macs_cascade' AS cost_metric UNION ALL SELECT 'macs_selected' UNION ALL SELECT 'params'
            ) AS metrics
            WHERE true
            ON CONFLICT DO NOTHING"
        );
        connection.run(&groups).await?;
        Ok(Self {
            session: connection.number(&session).await?,
            sweep,
            placement: connection.number("SELECT max(placement_id) FROM job_states").await?,
        })
    }
}
