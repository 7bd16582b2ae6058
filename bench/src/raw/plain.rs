//! The transaction that somebody writes who has the database and nothing else: a job completed and the next one claimed between `BEGIN` and `COMMIT`,
//! one prepared statement after the other, over the same driver as the coordinator's. On SQLite one connection, on PostgreSQL one a worker.
//!
//! Nothing in it is slower than it has to be. Statements are prepared once, rows that belong to one table go into one statement, connections are
//! kept, and whether a point gets onto the frontier is decided in memory: for nearly all jobs that takes no statement at all.

use std::cell::Cell;
use std::time::Duration;

use anyhow::bail;
use futures::future::try_join_all;
use sqlx::postgres::Postgres;
use sqlx::sqlite::Sqlite;
use sqlx::{Connection as _, Database as Engine, Executor, IntoArguments, Row};

use super::{LEASE_US, Place};
use crate::clock;
use crate::database::{Connection, Database};
use crate::work::{POLICIES, Results, TRAINER};

/// The statements of a transaction, in their order.
#[derive(Debug)]
struct Texts {
    begin: &'static str,
    /// $1: job, $2: session, $3: now.
    settle: &'static str,
    /// $1: job, $2: now.
    end_attempt: &'static str,
    /// $1: job, $2: accuracy.
    result: &'static str,
    /// $1: job, $2: accuracy.
    exit: &'static str,
    /// $1: job, $2: accuracy, $3 and $4: costs.
    points: &'static str,
    /// Keeps others from the frontier of sweep $1; empty where there are none.
    lock: &'static str,
    /// What points of accuracy $1 of job $2 displace at $3 on every frontier: all jobs' networks cost the same.
    displace: &'static str,
    /// Points of accuracy $1, costs $2 and $3 and job $4 enter at $5, unless one is there that dominates them.
    enter: &'static str,
    /// What the frontiers come to that points of accuracy $1 of job $2 entered at $3.
    advance: &'static str,
    /// $1: session, $2: end of the lease, $3: placement. Answers with job, attempt, key and configuration.
    claim: &'static str,
    /// $1: job, $2: attempt, $3: session, $4: now.
    begin_attempt: &'static str,
}

impl Texts {
    /// In a dialect: how the queue's first job is kept from others, where there are any.
    fn new(begin: &'static str, lock: &'static str, skip_locked: &str, greatest: &str) -> Self {
        let [fixed, max_softmax] = POLICIES;
        Self {
            begin,
            settle: "UPDATE job_states SET state = 'succeeded', session_id = NULL, lease_until_us = NULL, finished_us = $3, error = ''
                WHERE job_id = $1 AND attempt = 1 AND state = 'leased' AND session_id = $2",
            end_attempt: "UPDATE attempts SET outcome = 'succeeded', state = 'succeeded', ended_us = $2
                WHERE job_id = $1 AND attempt = 1 AND outcome = 'running'",
            result: format!(
                "INSERT INTO results (
                    job_id, attempt, trainer, n_train, n_calibration, n_test, train_seconds, final_accuracy, best_accuracy, area
                ) VALUES ($1, 1, '{TRAINER}', 1300, 140, 357, 2.5, $2, $2, $2)"
            )
            .leak(),
            exit: "INSERT INTO exit_results (
                    job_id, exit, accuracy, loss, calibration_accuracy, calibration_loss, top5_accuracy, ece, calibration_top5_accuracy,
                    calibration_ece
                )
                VALUES ($1, 0, $2, 0.5, $2, 0.5, $2, 0.05, $2, 0.05)",
            points: format!(
                "INSERT INTO operating_points (
                    job_id, point, policy, setting, macs_cascade, macs_selected, accuracy, calibration_accuracy, calibration_macs_cascade,
                    exit_shares
                ) VALUES ($1, 0, '{fixed}', 0.0, $3, $4, $2, $2, $3, '[1.0]'), ($1, 1, '{max_softmax}', 0.0, $3, $4, $2, $2, $3, '[1.0]')"
            )
            .leak(),
            lock,
            displace: format!("UPDATE frontier SET left_us = {greatest}($3, entered_us + 1), displaced_by = $2
        WHERE left_us IS NULL AND accuracy < $1").leak(),
            enter: "INSERT INTO frontier (group_id, job_id, point, cost, accuracy, entered_us)
        SELECT frontier_groups.id, $4, points.point, CASE frontier_groups.cost_metric WHEN 'macs_cascade' THEN $2 WHEN 'macs_selected' THEN $3
            ELSE (SELECT CAST(jobs.params AS DOUBLE PRECISION) FROM jobs WHERE jobs.id = $4) END, $1, $5
        FROM frontier_groups CROSS JOIN (SELECT 0 AS point UNION ALL SELECT 1) AS points
        WHERE NOT EXISTS (
            SELECT 1 FROM frontier AS old
            WHERE old.group_id = frontier_groups.id AND old.left_us IS NULL AND old.accuracy > $1
        )",
            advance: "INSERT INTO frontier_advances (group_id, at_us, hypervolume, reference_cost)
        SELECT frontier.group_id, $3, frontier.cost * (1 - $1), 2 * frontier.cost
        FROM frontier
        WHERE frontier.job_id = $2 AND frontier.point = 0
        ON CONFLICT (group_id, at_us) DO UPDATE SET hypervolume = excluded.hypervolume, reference_cost = excluded.reference_cost",
            claim: format!(
                "UPDATE job_states SET state = 'leased', attempt = attempt + 1, session_id = $1, lease_until_us = $2
                WHERE job_id = (
                    SELECT queue.job_id FROM job_states AS queue
                    WHERE queue.placement_id = $3 AND queue.state = 'queued' AND queue.not_before_us = 0 AND queue.sponsor_id IS NOT NULL
                    ORDER BY queue.priority DESC, queue.turn, queue.job_id
                    LIMIT 1 {skip_locked}
                )
                RETURNING
                    job_id, attempt,
                    (SELECT jobs.key FROM jobs WHERE jobs.id = job_states.job_id) AS key,
                    (SELECT jobs.config FROM jobs WHERE jobs.id = job_states.job_id) AS config"
            )
            .leak(),
            begin_attempt: "INSERT INTO attempts (job_id, attempt, session_id, outcome, state, message, leased_us)
                VALUES ($1, $2, $3, 'running', '', '', $4)",
        }
    }
}

/// Loops over one database.
#[derive(Debug)]
pub(crate) struct Loops {
    connections: Vec<(Connection, Place)>,
    texts: Texts,
    /// The most accurate point that is known to be on the frontier, as committed. What it dominates stays dominated, and needs no lock.
    best: Cell<f64>,
}

impl Loops {
    /// Connects to a database that holds one sweep.
    pub(crate) async fn open(database: &Database, n_workers: usize) -> anyhow::Result<Self> {
        let (n_connections, texts) = match database {
            // One writer: others would wait for it.
            Database::Sqlite(_) => (1, Texts::new("BEGIN IMMEDIATE", "", "", "max")),
            Database::Postgres { .. } => {
                let lock = "SELECT id FROM sweeps WHERE id = $1 FOR NO KEY UPDATE";
                (n_workers, Texts::new("BEGIN", lock, "FOR NO KEY UPDATE SKIP LOCKED", "greatest"))
            }
        };
        let mut connections = Vec::with_capacity(n_connections);
        for _ in 0..n_connections {
            let mut connection = database.connect().await?;
            let place = Place::open(&mut connection).await?;
            connections.push((connection, place));
        }
        Ok(Self { connections, texts, best: Cell::new(f64::NEG_INFINITY) })
    }

    /// Completes `n_jobs` jobs, each in a transaction that claims the next one; how long that took. Then, unmeasured, each loop completes the last
    /// one that it has.
    pub(crate) async fn run(&mut self, results: &Results, n_jobs: u64) -> anyhow::Result<Duration> {
        let Self { connections, texts, best } = self;
        let mut held = Vec::new();
        for (connection, place) in &mut *connections {
            held.push(step(connection, texts, *place, best, results, None, true).await?);
        }
        let n_left = Cell::new(n_jobs);
        let start = clock::now();
        let running = connections.iter_mut().zip(&mut held).map(async |((connection, place), held)| -> anyhow::Result<()> {
            while n_left.get() > 0 {
                n_left.set(n_left.get() - 1);
                *held = step(connection, texts, *place, best, results, *held, true).await?;
            }
            Ok(())
        });
        try_join_all(running).await?;
        let took = start.elapsed();
        for ((connection, place), held) in connections.iter_mut().zip(held) {
            step(connection, texts, *place, best, results, held, false).await?;
        }
        Ok(took)
    }

    pub(crate) const fn len(&self) -> usize {
        self.connections.len()
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        for (connection, _) in self.connections {
            connection.close().await?;
        }
        Ok(())
    }
}

/// One transaction: completes the job that is held, if any, and claims the next one, if that is wanted.
async fn step(
    connection: &mut Connection,
    texts: &Texts,
    place: Place,
    best: &Cell<f64>,
    results: &Results,
    held: Option<i64>,
    claims: bool,
) -> anyhow::Result<Option<i64>> {
    let asked = Step { place, held, claims, accuracy: results.accuracy(), costs: (results.macs_cascade, results.macs_selected) };
    let enters = held.is_some() && asked.accuracy > best.get();
    let claimed = match connection {
        Connection::Sqlite(on) => {
            let mut tx = on.begin_with(texts.begin).await?;
            let claimed = asked.carry_out::<Sqlite>(&mut tx, texts, enters).await?;
            tx.commit().await?;
            claimed
        }
        Connection::Postgres(on) => {
            let mut tx = on.begin_with(texts.begin).await?;
            let claimed = asked.carry_out::<Postgres>(&mut tx, texts, enters).await?;
            tx.commit().await?;
            claimed
        }
    };
    if enters {
        best.set(best.get().max(asked.accuracy));
    }
    Ok(claimed)
}

#[derive(Debug, Clone, Copy)]
struct Step {
    place: Place,
    held: Option<i64>,
    claims: bool,
    accuracy: f64,
    costs: (f64, f64),
}

impl Step {
    /// The statements between `BEGIN` and `COMMIT`, on either engine.
    async fn carry_out<E>(self, on: &mut E::Connection, texts: &Texts, enters: bool) -> anyhow::Result<Option<i64>>
    where
        E: Engine,
        for<'c> &'c mut E::Connection: Executor<'c, Database = E>,
        E::Arguments: IntoArguments<E>,
        for<'q> i64: sqlx::Encode<'q, E> + sqlx::Decode<'q, E> + sqlx::Type<E>,
        for<'q> f64: sqlx::Encode<'q, E> + sqlx::Type<E>,
        for<'r> &'r str: sqlx::Decode<'r, E> + sqlx::Type<E>,
        usize: sqlx::ColumnIndex<E::Row>,
    {
        let Self { place, held, claims, accuracy, costs } = self;
        let now_us = clock::unix_us();
        if let Some(job) = held {
            sqlx::query(texts.settle).bind(job).bind(place.session).bind(now_us).execute(&mut *on).await?;
            sqlx::query(texts.end_attempt).bind(job).bind(now_us).execute(&mut *on).await?;
            sqlx::query(texts.result).bind(job).bind(accuracy).execute(&mut *on).await?;
            sqlx::query(texts.exit).bind(job).bind(accuracy).execute(&mut *on).await?;
            sqlx::query(texts.points).bind(job).bind(accuracy).bind(costs.0).bind(costs.1).execute(&mut *on).await?;
            if enters {
                if !texts.lock.is_empty() {
                    sqlx::query(texts.lock).bind(place.sweep).execute(&mut *on).await?;
                }
                sqlx::query(texts.displace).bind(accuracy).bind(job).bind(now_us).execute(&mut *on).await?;
                sqlx::query(texts.enter).bind(accuracy).bind(costs.0).bind(costs.1).bind(job).bind(now_us).execute(&mut *on).await?;
                sqlx::query(texts.advance).bind(accuracy).bind(job).bind(now_us).execute(&mut *on).await?;
            }
        }
        if !claims {
            return Ok(None);
        }
        let Some(row) =
            sqlx::query(texts.claim).bind(place.session).bind(now_us + LEASE_US).bind(place.placement).fetch_optional(&mut *on).await?
        else {
            bail!("no job was claimed")
        };
        // What a worker would be sent.
        let (_key, _config): (&str, &str) = (row.try_get(2)?, row.try_get(3)?);
        let (job, attempt): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        sqlx::query(texts.begin_attempt).bind(job).bind(attempt).bind(place.session).bind(now_us).execute(&mut *on).await?;
        Ok(Some(job))
    }
}
