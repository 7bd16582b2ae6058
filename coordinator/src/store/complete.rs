//! Accepting a result: the fence, the rows and the frontier, in one transaction.

use offramp_domain::evaluation;
use offramp_domain::lifecycle::Event;
use offramp_domain::outcome::Outcome;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::error::DatabaseError;
use super::frontier::{self, Candidate};
use super::leases::{self, AttemptRef, Held};
use super::sessions::SessionId;
use super::{Store, Transaction, sql};

/// The answer to a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// Accepted now, or before with this very attempt.
    Accepted,
    /// The lease was lost; nothing was changed.
    Stale,
}

impl Report {
    /// The answer where the lease is not held any more: a report of what is already recorded is a repetition.
    pub(super) const fn repeated(recorded: bool) -> Self {
        if recorded { Self::Accepted } else { Self::Stale }
    }
}

/// Why a result was not taken.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// It is not of this job's network.
    #[error("a result of {found} exits for job `{job}`, whose network has {expected}")]
    ExitCount {
        /// The job's id.
        job: String,
        /// Exits in the result.
        found: usize,
        /// Exits of the network.
        expected: usize,
    },
    /// It is not of the trainer that the worker introduced: what keeps simulated and real results apart would be worth nothing.
    #[error("a result of trainer `{}` from a worker of trainer `{}`", found.escape_debug(), expected.escape_debug())]
    Trainer {
        /// The result's trainer.
        found: String,
        /// The session's.
        expected: String,
    },
    /// A point's expected cost is not what its exit shares cost in this job's network.
    #[error(
        "`operating_point.{field}` is {found} in point {point} of a result for job `{job}`, whose exits cost {expected} with these shares"
    )]
    Cost {
        /// The job's id.
        job: String,
        /// The point's place in the result, from 0.
        point: usize,
        /// `macs_cascade` or `macs_selected`.
        field: &'static str,
        /// The cost in the result.
        found: f64,
        /// The cost that follows.
        expected: f64,
    },
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<sqlx::Error> for CompleteError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// What a job's result is measured against.
struct Plan {
    dataset: String,
    backbone_macs: u64,
    n_classes: usize,
    trainer: String,
    /// One an exit.
    costs: Vec<PlannedCost>,
}

/// What an answer from one exit costs.
struct PlannedCost {
    macs_cascade: f64,
    macs_selected: f64,
}

/// Largest deviation of a point's cost from what its exit shares cost, as a share of the latter: room for rounding and for nothing else.
const COST_TOLERANCE: f64 = 1e-6;

impl Store {
    /// Accepts the result of an attempt and advances the frontier of every sweep that has the job, or changes nothing.
    ///
    /// # Errors
    /// When the result does not fit the job's network, its costs or the session's trainer, and those of the database.
    pub async fn complete(
        &self,
        session: SessionId,
        attempt: &AttemptRef,
        outcome: &Outcome,
        now_us: i64,
    ) -> Result<Report, CompleteError> {
        let mut tx = self.begin().await?;
        let Some(held) = leases::held(&mut tx, session, attempt).await? else {
            let recorded = leases::attempt_outcome(&mut tx, attempt).await?;
            return Ok(Report::repeated(recorded.as_deref() == Some(leases::outcome_name(Event::Completed))));
        };
        let plan = plan(&mut tx, held.job_id, session).await?;
        check(attempt.key.id(), &plan, outcome)?;
        if outcome.trainer != plan.trainer {
            return Err(CompleteError::Trainer { found: outcome.trainer.clone(), expected: plan.trainer });
        }
        if !leases::settle(&mut tx, &held, Event::Completed, "", self.max_failures, now_us).await? {
            return Ok(Report::Stale);
        }
        insert_result(&mut tx, &held, &plan, outcome).await?;
        insert_exits(&mut tx, held.job_id, outcome).await?;
        let points = insert_points(&mut tx, held.job_id, outcome).await?;
        frontier::advance(&mut tx, held.job_id, &plan.dataset, &points).await?;
        tx.commit().await?;
        Ok(Report::Accepted)
    }
}

async fn plan(tx: &mut Transaction, job_id: i64, session: SessionId) -> Result<Plan, sqlx::Error> {
    let macs = |row: &SqliteRow, column: &str| row.try_get::<i64, _>(column).map(|macs| macs as f64);
    let cost = |row: &SqliteRow| Ok(PlannedCost { macs_cascade: macs(row, "macs_cascade")?, macs_selected: macs(row, "macs_selected")? });
    let costs = sqlx::query(sql::COSTS_OF_JOB).bind(job_id).fetch_all(&mut **tx).await?;
    let row = sqlx::query(sql::PLAN_OF_JOB).bind(job_id).bind(session.id).fetch_one(&mut **tx).await?;
    let count = |column: &str| row.try_get::<i64, _>(column).map(i64::cast_unsigned);
    Ok(Plan {
        dataset: row.try_get("dataset")?,
        backbone_macs: count("backbone_macs")?,
        n_classes: count("n_classes")? as usize,
        trainer: row.try_get("trainer")?,
        costs: costs.iter().map(cost).collect::<Result<_, sqlx::Error>>()?,
    })
}

/// Refuses a result that this job's network cannot have.
fn check(job: &str, plan: &Plan, outcome: &Outcome) -> Result<(), CompleteError> {
    if outcome.exits.len() != plan.costs.len() {
        return Err(CompleteError::ExitCount { job: job.to_owned(), found: outcome.exits.len(), expected: plan.costs.len() });
    }
    for (index, point) in outcome.operating_points.iter().enumerate() {
        let expected = |macs: fn(&PlannedCost) -> f64| -> f64 {
            plan.costs.iter().zip(&point.exit_shares).map(|(cost, share)| macs(cost) * share).sum()
        };
        for (field, found, expected) in [
            ("macs_cascade", point.macs_cascade, expected(|cost| cost.macs_cascade)),
            ("macs_selected", point.macs_selected, expected(|cost| cost.macs_selected)),
        ] {
            // Asked this way round, NaN is refused as well.
            let fits = (found - expected).abs() <= COST_TOLERANCE * expected;
            if !fits {
                return Err(CompleteError::Cost { job: job.to_owned(), point: index, field, found, expected });
            }
        }
    }
    Ok(())
}

async fn insert_result(tx: &mut Transaction, held: &Held, plan: &Plan, outcome: &Outcome) -> Result<(), sqlx::Error> {
    let accuracies = outcome.exits.iter().map(|exit| exit.accuracy);
    sqlx::query(sql::INSERT_RESULT)
        .bind(held.job_id)
        .bind(held.attempt.attempt)
        .bind(&outcome.trainer)
        .bind(outcome.n_train)
        .bind(outcome.n_calibration)
        .bind(outcome.n_test)
        .bind(outcome.train_seconds)
        .bind(accuracies.clone().next_back())
        .bind(accuracies.reduce(f64::max))
        .bind(evaluation::area(&outcome.operating_points, plan.backbone_macs, plan.n_classes))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn insert_exits(tx: &mut Transaction, job_id: i64, outcome: &Outcome) -> Result<(), sqlx::Error> {
    for (index, exit) in (0_i64..).zip(&outcome.exits) {
        sqlx::query(sql::INSERT_EXIT_RESULT)
            .bind(job_id)
            .bind(index)
            .bind(exit.accuracy)
            .bind(exit.loss)
            .bind(exit.calibration_accuracy)
            .bind(exit.calibration_loss)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

async fn insert_points(tx: &mut Transaction, job_id: i64, outcome: &Outcome) -> Result<Vec<Candidate>, sqlx::Error> {
    let mut candidates = Vec::with_capacity(outcome.operating_points.len());
    for (index, point) in (0_i64..).zip(&outcome.operating_points) {
        let exit_shares = serde_json::to_string(&point.exit_shares).expect("numbers are JSON");
        sqlx::query(sql::INSERT_OPERATING_POINT)
            .bind(job_id)
            .bind(index)
            .bind(&point.policy)
            .bind(point.setting)
            .bind(point.macs_cascade)
            .bind(point.macs_selected)
            .bind(point.accuracy)
            .bind(point.calibration_accuracy)
            .bind(point.calibration_macs_cascade)
            .bind(exit_shares)
            .execute(&mut **tx)
            .await?;
        candidates.push(Candidate {
            job_id,
            point: index,
            macs_cascade: point.macs_cascade,
            macs_selected: point.macs_selected,
            accuracy: point.accuracy,
        });
    }
    Ok(candidates)
}
