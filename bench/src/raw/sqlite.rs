//! The loop on SQLite: each transaction is one prepared text of several statements, so that the driver's thread is spoken to once.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::bail;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row};

use super::{LEASE_US, Place};
use crate::clock;
use crate::database::{Connection, Database};
use crate::work::{POLICIES, Results, TRAINER};

/// One connection.
#[derive(Debug)]
pub(crate) struct Loop {
    connection: SqliteConnection,
    place: Place,
    /// By the number of jobs to complete.
    texts: HashMap<usize, &'static str>,
}

/// Parameters before those of the single jobs.
const N_COMMON: usize = 10;

/// A transaction that completes `n_done` jobs (none, at a loop's start) and claims $6 new ones. $1: session, $2: now, $3: end of the leases,
/// $4: sweep, $5: placement, $7 and $8: costs, $9 and $10: job and accuracy of the best point; then a job and its accuracy each.
fn text(n_done: usize) -> String {
    let tuples = |width: usize| -> Vec<String> {
        let parameter = |job: usize, column: usize| format!("${}", N_COMMON + 1 + 2 * job + column);
        (0..n_done).map(|job| format!("({})", (0..width).map(|column| parameter(job, column)).collect::<Vec<_>>().join(", "))).collect()
    };
    let (done, ids) = (tuples(2).join(", "), tuples(1).join(", "));
    let [fixed, max_softmax] = POLICIES;
    let complete = format!(
        "UPDATE job_states SET state = 'succeeded', session_id = NULL, lease_until_us = NULL, finished_us = $2, error = ''
        WHERE job_id IN (VALUES {ids}) AND attempt = 1 AND state = 'leased' AND session_id = $1;
        UPDATE attempts SET outcome = 'succeeded', state = 'succeeded', ended_us = $2
        WHERE job_id IN (VALUES {ids}) AND attempt = 1 AND outcome = 'running';
        INSERT INTO results (job_id, attempt, trainer, n_train, n_calibration, n_test, train_seconds, final_accuracy, best_accuracy, area)
        SELECT column1, 1, '{TRAINER}', 1300, 140, 357, 2.5, column2, column2, column2 FROM (VALUES {done});
        INSERT INTO exit_results (
            job_id, exit, accuracy, loss, calibration_accuracy, calibration_loss, top5_accuracy, ece, calibration_top5_accuracy,
            calibration_ece
        )
        SELECT column1, 0, column2, 0.5, column2, 0.5, column2, 0.05, column2, 0.05 FROM (VALUES {done});
        INSERT INTO operating_points (
            job_id, point, policy, setting, macs_cascade, macs_selected, accuracy, calibration_accuracy, calibration_macs_cascade, exit_shares
        )
        SELECT done.column1, policies.column1, policies.column2, 0.0, $7, $8, done.column2, done.column2, $7, '[1.0]'
        FROM (VALUES {done}) AS done CROSS JOIN (VALUES (0, '{fixed}'), (1, '{max_softmax}')) AS policies;
        UPDATE frontier SET left_us = max($2, entered_us + 1), displaced_by = $9
        WHERE left_us IS NULL AND accuracy < $10;
        INSERT INTO frontier (group_id, job_id, point, cost, accuracy, entered_us)
        SELECT frontier_groups.id, $9, points.point, CASE frontier_groups.cost_metric WHEN 'macs_cascade' THEN $7 WHEN 'macs_selected' THEN $8
            ELSE (SELECT CAST(jobs.params AS DOUBLE PRECISION) FROM jobs WHERE jobs.id = $9) END, $10, $2
        FROM frontier_groups CROSS JOIN (SELECT 0 AS point UNION ALL SELECT 1) AS points
        WHERE NOT EXISTS (
            SELECT 1 FROM frontier AS old
            WHERE old.group_id = frontier_groups.id AND old.left_us IS NULL AND old.accuracy > $10
        );
        INSERT INTO frontier_advances (group_id, at_us, hypervolume, reference_cost)
        SELECT frontier.group_id, $2, frontier.cost * (1 - $10), 2 * frontier.cost
        FROM frontier
        WHERE frontier.job_id = $9 AND frontier.point = 0
        ON CONFLICT (group_id, at_us) DO UPDATE SET hypervolume = excluded.hypervolume, reference_cost = excluded.reference_cost;"
    );
    let claim = "UPDATE job_states SET state = 'leased', attempt = attempt + 1, session_id = $1, lease_until_us = $3
        WHERE job_id IN (
            SELECT queue.job_id FROM job_states AS queue
            WHERE queue.placement_id = $5 AND queue.state = 'queued' AND queue.not_before_us = 0 AND queue.sponsor_id IS NOT NULL
            ORDER BY queue.priority DESC, queue.turn, queue.job_id
            LIMIT $6
        )
        RETURNING job_id,
            (SELECT jobs.key FROM jobs WHERE jobs.id = job_states.job_id) AS key,
            (SELECT jobs.config FROM jobs WHERE jobs.id = job_states.job_id) AS config;
        INSERT INTO attempts (job_id, attempt, session_id, outcome, state, message, leased_us)
        SELECT job_id, attempt, $1, 'running', '', '', $2 FROM job_states WHERE session_id = $1 AND state = 'leased';";
    let complete = if n_done == 0 { "" } else { &complete };
    format!("BEGIN IMMEDIATE; {complete} {claim} COMMIT;")
}

impl Loop {
    pub(crate) async fn open(database: &Database) -> anyhow::Result<Self> {
        let mut connection = database.connect().await?;
        let place = Place::open(&mut connection).await?;
        let Connection::Sqlite(connection) = connection else { bail!("not a SQLite database") };
        Ok(Self { connection, place, texts: HashMap::new() })
    }

    pub(crate) async fn run(&mut self, results: &Results, n_jobs: u64, batch: usize) -> anyhow::Result<Duration> {
        let mut held = self.step(results, &[], batch).await?;
        let start = clock::now();
        let mut n_left = n_jobs;
        while n_left > 0 {
            held = self.step(results, &held, batch).await?;
            n_left = n_left.saturating_sub(batch as u64);
        }
        let took = start.elapsed();
        self.step(results, &held, 0).await?;
        Ok(took)
    }

    /// Completes what is held and claims `n_next` jobs, which it answers with.
    async fn step(&mut self, results: &Results, held: &[i64], n_next: usize) -> anyhow::Result<Vec<i64>> {
        // Prepared once a length, of which there are three.
        let text = *self.texts.entry(held.len()).or_insert_with(|| text(held.len()).leak());
        let accuracies: Vec<f64> = held.iter().map(|_| results.accuracy()).collect();
        let best = held.iter().zip(&accuracies).max_by(|a, b| a.1.total_cmp(b.1)).map_or((0, 0.0), |(job, accuracy)| (*job, *accuracy));
        let now_us = clock::unix_us();
        let query = sqlx::query(AssertSqlSafe(text))
            .bind(self.place.session)
            .bind(now_us)
            .bind(now_us + LEASE_US)
            .bind(self.place.sweep)
            .bind(self.place.placement)
            .bind(n_next as i64)
            .bind(results.macs_cascade)
            .bind(results.macs_selected)
            .bind(best.0)
            .bind(best.1);
        let query = held.iter().zip(accuracies).fold(query, |query, (job, accuracy)| query.bind(*job).bind(accuracy));
        let rows = query.fetch_all(&mut self.connection).await?;
        if rows.len() != n_next {
            bail!("{} of {n_next} jobs were claimed", rows.len());
        }
        let read = |row: &sqlx::sqlite::SqliteRow| -> Result<i64, sqlx::Error> {
            // What a worker would be sent.
            let (_key, _config): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
            row.try_get(0)
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        Ok(self.connection.close().await?)
    }
}
