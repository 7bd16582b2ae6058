//! Keeps each sweep's stored frontier equal to what its operating points come to.

use std::collections::BTreeMap;

use offramp_domain::frontier::{self, Insertion, Point};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Transaction, sql};

/// What a frontier's cost is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CostMetric {
    /// Expected MACs of a sample, every branch on the way paid.
    MacsCascade,
    /// Expected MACs of a sample, only the answering branch paid.
    MacsSelected,
}

impl CostMetric {
    /// Every metric that frontiers are kept for.
    pub const ALL: [Self; 2] = [Self::MacsCascade, Self::MacsSelected];

    /// The metric's name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MacsCascade => "macs_cascade",
            Self::MacsSelected => "macs_selected",
        }
    }
}

/// A stored operating point, as far as frontiers care.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) job_id: i64,
    pub(super) point: i64,
    pub(super) macs_cascade: f64,
    pub(super) macs_selected: f64,
    pub(super) accuracy: f64,
}

impl Candidate {
    fn read(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            job_id: row.try_get("job_id")?,
            point: row.try_get("point")?,
            macs_cascade: row.try_get("macs_cascade")?,
            macs_selected: row.try_get("macs_selected")?,
            accuracy: row.try_get("accuracy")?,
        })
    }

    fn under(&self, metric: CostMetric) -> Point {
        let cost = match metric {
            CostMetric::MacsCascade => self.macs_cascade,
            CostMetric::MacsSelected => self.macs_selected,
        };
        Point { cost, accuracy: self.accuracy }
    }
}

/// One frontier among those of a sweep.
#[derive(Clone, Copy)]
struct Place<'a> {
    sweep_id: i64,
    dataset: &'a str,
    metric: CostMetric,
}

/// Advances the frontiers of every sweep that has the job whose points these are.
pub(super) async fn advance(tx: &mut Transaction, job_id: i64, dataset: &str, points: &[Candidate]) -> Result<(), sqlx::Error> {
    let sweeps: Vec<i64> = sqlx::query_scalar(sql::SWEEPS_OF_JOB).bind(job_id).fetch_all(&mut **tx).await?;
    for sweep_id in sweeps {
        for metric in CostMetric::ALL {
            insert(tx, Place { sweep_id, dataset, metric }, points).await?;
        }
    }
    Ok(())
}

/// Writes the frontiers of a new sweep from the results that its jobs have already.
pub(super) async fn found(tx: &mut Transaction, sweep_id: i64) -> Result<(), sqlx::Error> {
    let rows = sqlx::query(sql::POINTS_OF_SWEEP_JOBS).bind(sweep_id).fetch_all(&mut **tx).await?;
    let mut by_dataset: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
    for row in &rows {
        by_dataset.entry(row.try_get("dataset")?).or_default().push(Candidate::read(row)?);
    }
    for (dataset, points) in &by_dataset {
        for metric in CostMetric::ALL {
            insert(tx, Place { sweep_id, dataset, metric }, points).await?;
        }
    }
    Ok(())
}

async fn insert(tx: &mut Transaction, place: Place<'_>, candidates: &[Candidate]) -> Result<(), sqlx::Error> {
    let rows = sqlx::query(sql::FRONTIER_MEMBERS)
        .bind(place.sweep_id)
        .bind(place.dataset)
        .bind(place.metric.as_str())
        .fetch_all(&mut **tx)
        .await?;
    let members: Vec<Candidate> = rows.iter().map(Candidate::read).collect::<Result<_, _>>()?;
    let points = |candidates: &[Candidate]| candidates.iter().map(|candidate| candidate.under(place.metric)).collect::<Vec<_>>();
    let Insertion { entered, displaced } = frontier::insert(&points(&members), &points(candidates));
    let deletions = displaced.into_iter().map(|index| (sql::DELETE_FRONTIER_POINT, members[index]));
    let insertions = entered.into_iter().map(|index| (sql::INSERT_FRONTIER_POINT, candidates[index]));
    for (statement, Candidate { job_id, point, .. }) in deletions.chain(insertions) {
        sqlx::query(statement)
            .bind(place.sweep_id)
            .bind(place.dataset)
            .bind(place.metric.as_str())
            .bind(job_id)
            .bind(point)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}
