//! The loops on PostgreSQL: each transaction is one prepared statement of many parts, sent and answered once.

use std::cell::Cell;
use std::time::Duration;

use anyhow::bail;
use futures::future::try_join_all;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection as _, Executor, Row};

use super::{LEASE_US, Place};
use crate::clock;
use crate::database::{Connection, Database};
use crate::work::{POLICIES, Results, TRAINER};

/// Connections that share a queue.
#[derive(Debug)]
pub(crate) struct Loops {
    each: Vec<Loop>,
    statement: &'static str,
    /// The most accurate point that is known to be on the frontier, as committed. What it dominates stays dominated, and needs no lock.
    best: Cell<f64>,
}

#[derive(Debug)]
struct Loop {
    connection: PgConnection,
    place: Place,
}

/// Completes the jobs $1 with accuracies $2 and claims $10 new ones. $3: session, $4: now, $5 and $6: costs, $7: sweep, $8: end of the
/// leases, $9: placement. Answers with a row for each new job, or one without; each tells how many jobs were completed, and how many points
/// of the frontier keep the best of them off it.
fn statement() -> String {
    let [fixed, max_softmax] = POLICIES;
    format!(
        "WITH done (job_id, accuracy) AS (
            SELECT * FROM unnest($1::bigint[], $2::double precision[])
        ),
        settled AS (
            UPDATE job_states SET state = 'succeeded', session_id = NULL, lease_until_us = NULL, finished_us = $4, error = ''
            WHERE job_id = ANY ($1) AND attempt = 1 AND state = 'leased' AND session_id = $3
            RETURNING job_id
        ),
        ended AS (
            UPDATE attempts SET outcome = 'succeeded', state = 'succeeded', ended_us = $4
            WHERE job_id = ANY ($1) AND attempt = 1 AND outcome = 'running'
        ),
        stored AS (
            INSERT INTO results (
                job_id, attempt, trainer, n_train, n_calibration, n_test, train_seconds, final_accuracy, best_accuracy, area
            )
            SELECT job_id, 1, '{TRAINER}', 1300, 140, 357, 2.5, accuracy, accuracy, accuracy FROM done
        ),
        exited AS (
            INSERT INTO exit_results (
                job_id, exit, accuracy, loss, calibration_accuracy, calibration_loss, top5_accuracy, ece, calibration_top5_accuracy,
                calibration_ece
            )
            SELECT job_id, 0, accuracy, 0.5, accuracy, 0.5, accuracy, 0.05, accuracy, 0.05 FROM done
        ),
        pointed AS (
            INSERT INTO operating_points (
                job_id, point, policy, setting, macs_cascade, macs_selected, accuracy, calibration_accuracy, calibration_macs_cascade,
                exit_shares
            )
            SELECT done.job_id, policies.point, policies.policy, 0, $5, $6, done.accuracy, done.accuracy, $5, '[1.0]'
            FROM done CROSS JOIN (VALUES (0, '{fixed}'), (1, '{max_softmax}')) AS policies (point, policy)
        ),
        picked AS (
            SELECT job_states.job_id
            FROM job_states
            WHERE job_states.placement_id = $9 AND job_states.state = 'queued' AND job_states.not_before_us = 0
                AND job_states.sponsor_id IS NOT NULL
            ORDER BY job_states.priority DESC, job_states.turn, job_states.job_id
            LIMIT $10
            FOR NO KEY UPDATE SKIP LOCKED
        ),
        claimed AS (
            UPDATE job_states SET state = 'leased', attempt = job_states.attempt + 1, session_id = $3, lease_until_us = $8
            FROM picked
            JOIN jobs ON jobs.id = picked.job_id
            WHERE job_states.job_id = picked.job_id
            RETURNING job_states.job_id, job_states.attempt, jobs.key, jobs.config
        ),
        begun AS (
            INSERT INTO attempts (job_id, attempt, session_id, outcome, state, message, leased_us)
            SELECT job_id, attempt, $3, 'running', '', '', $4 FROM claimed
        )
        SELECT claimed.job_id, claimed.key, claimed.config, settled.n_settled, better.n_better
        FROM (SELECT count(*) AS n_settled FROM settled) AS settled
        CROSS JOIN (
            SELECT count(*) AS n_better
            FROM frontier
            JOIN frontier_groups ON frontier_groups.id = frontier.group_id
            WHERE frontier_groups.sweep_id = $7 AND frontier.left_us IS NULL AND frontier.accuracy > (SELECT max(accuracy) FROM done)
                AND frontier.cost <= CASE frontier_groups.cost_metric WHEN 'macs_cascade' THEN $5 WHEN 'macs_selected' THEN $6 ELSE 'infinity' END
        ) AS better
        LEFT JOIN claimed ON true"
    )
}

/// Keeps others from the frontier of sweep $1.
const LOCK: &str = "SELECT id FROM sweeps WHERE id = $1 FOR NO KEY UPDATE";

/// Lets a point of accuracy $1 of job $2 displace at $3 what it dominates on every frontier: all jobs' networks cost the same.
const DISPLACE: &str = "UPDATE frontier SET left_us = greatest($3, entered_us + 1), displaced_by = $2
        WHERE left_us IS NULL AND accuracy < $1";

/// Lets the points of job $4 enter at $5, of accuracy $1 and costs $2 and $3, unless one is there that dominates them.
const ENTER: &str = "INSERT INTO frontier (group_id, job_id, point, cost, accuracy, entered_us)
        SELECT frontier_groups.id, $4, points.point, CASE frontier_groups.cost_metric WHEN 'macs_cascade' THEN $2 WHEN 'macs_selected' THEN $3
            ELSE (SELECT CAST(jobs.params AS DOUBLE PRECISION) FROM jobs WHERE jobs.id = $4) END, $1, $5
        FROM frontier_groups CROSS JOIN (SELECT 0 AS point UNION ALL SELECT 1) AS points
        WHERE NOT EXISTS (
            SELECT 1 FROM frontier AS old
            WHERE old.group_id = frontier_groups.id AND old.left_us IS NULL AND old.accuracy > $1
        )";

/// Notes what the frontiers come to that job $2 entered at $3.
const ADVANCE: &str = "INSERT INTO frontier_advances (group_id, at_us, hypervolume, reference_cost)
        SELECT frontier.group_id, $3, frontier.cost * (1 - $1), 2 * frontier.cost
        FROM frontier
        WHERE frontier.job_id = $2 AND frontier.point = 0
        ON CONFLICT (group_id, at_us) DO UPDATE SET hypervolume = excluded.hypervolume, reference_cost = excluded.reference_cost";

impl Loops {
    pub(crate) async fn open(database: &Database, n_workers: usize) -> anyhow::Result<Self> {
        let mut loops = Vec::with_capacity(n_workers);
        for _ in 0..n_workers {
            let mut connection = database.connect().await?;
            let place = Place::open(&mut connection).await?;
            let Connection::Postgres(connection) = connection else { bail!("not a PostgreSQL database") };
            loops.push(Loop { connection, place });
        }
        Ok(Self { each: loops, statement: statement().leak(), best: Cell::new(f64::NEG_INFINITY) })
    }

    pub(crate) async fn run(&mut self, results: &Results, n_jobs: u64, batch: usize) -> anyhow::Result<Duration> {
        let Self { each: loops, statement, best } = self;
        let mut held = Vec::new();
        for one in &mut *loops {
            held.push(one.step(statement, best, results, &[], batch).await?);
        }
        let n_left = Cell::new(n_jobs);
        let start = clock::now();
        let running = loops.iter_mut().zip(&mut held).map(async |(one, held)| -> anyhow::Result<()> {
            while n_left.get() > 0 {
                n_left.set(n_left.get().saturating_sub(batch as u64));
                *held = one.step(statement, best, results, held, batch).await?;
            }
            Ok(())
        });
        try_join_all(running).await?;
        let took = start.elapsed();
        for (one, held) in loops.iter_mut().zip(held) {
            one.step(statement, best, results, &held, 0).await?;
        }
        Ok(took)
    }

    pub(crate) const fn len(&self) -> usize {
        self.each.len()
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        for one in self.each {
            one.connection.close().await?;
        }
        Ok(())
    }
}

impl Loop {
    /// Completes what is held and claims `n_next` jobs, which it answers with.
    async fn step(
        &mut self,
        statement: &'static str,
        best: &Cell<f64>,
        results: &Results,
        held: &[i64],
        n_next: usize,
    ) -> anyhow::Result<Vec<i64>> {
        let accuracies: Vec<f64> = held.iter().map(|_| results.accuracy()).collect();
        let first = held.iter().zip(&accuracies).max_by(|a, b| a.1.total_cmp(b.1));
        let (place, costs) = (self.place, (results.macs_cascade, results.macs_selected));
        let Some((job, accuracy)) = first.filter(|(_, accuracy)| **accuracy > best.get()) else {
            let (jobs, n_better) = write(&mut self.connection, statement, place, costs, held, &accuracies, n_next).await?;
            if !held.is_empty() && n_better == 0 {
                bail!("a point that was taken for dominated is not");
            }
            return Ok(jobs);
        };
        let mut tx = self.connection.begin().await?;
        tx.execute(sqlx::query(LOCK).bind(place.sweep)).await?;
        let (jobs, _) = write(&mut tx, statement, place, costs, held, &accuracies, n_next).await?;
        let now_us = clock::unix_us();
        tx.execute(sqlx::query(DISPLACE).bind(accuracy).bind(job).bind(now_us)).await?;
        tx.execute(sqlx::query(ENTER).bind(accuracy).bind(costs.0).bind(costs.1).bind(job).bind(now_us)).await?;
        tx.execute(sqlx::query(ADVANCE).bind(accuracy).bind(job).bind(now_us)).await?;
        tx.commit().await?;
        best.set(best.get().max(*accuracy));
        Ok(jobs)
    }
}

/// Runs the statement; the jobs that it claimed, and how many points of the frontier are better than the best of the completed ones.
async fn write(
    connection: &mut PgConnection,
    statement: &'static str,
    place: Place,
    costs: (f64, f64),
    held: &[i64],
    accuracies: &[f64],
    n_next: usize,
) -> anyhow::Result<(Vec<i64>, i64)> {
    let now_us = clock::unix_us();
    let rows = sqlx::query(statement)
        .bind(held)
        .bind(accuracies)
        .bind(place.session)
        .bind(now_us)
        .bind(costs.0)
        .bind(costs.1)
        .bind(place.sweep)
        .bind(now_us + LEASE_US)
        .bind(place.placement)
        .bind(n_next as i64)
        .fetch_all(connection)
        .await?;
    let Some(row) = rows.first() else { bail!("the statement answered with nothing") };
    let (n_settled, n_better): (i64, i64) = (row.try_get(3)?, row.try_get(4)?);
    let read = |row: &PgRow| -> Result<Option<i64>, sqlx::Error> {
        // What a worker would be sent.
        let (_key, _config): (Option<&str>, Option<&str>) = (row.try_get(1)?, row.try_get(2)?);
        row.try_get(0)
    };
    let jobs: Vec<i64> = rows.iter().filter_map(|row| read(row).transpose()).collect::<Result<_, _>>()?;
    if n_settled != held.len() as i64 || jobs.len() != n_next {
        bail!("{n_settled} of {} jobs were completed, {} of {n_next} claimed", held.len(), jobs.len());
    }
    Ok((jobs, n_better))
}
