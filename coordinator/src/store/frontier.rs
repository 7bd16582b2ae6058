//! Keeps each sweep's stored frontier equal to what its operating points come to.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use offramp_domain::frontier::{self, Insertion, Point};
use offramp_domain::outcome::OperatingPoint;

use super::engine::{Row, args};
use super::{Transaction, json, sql};

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
    pub(super) fn new(job_id: i64, index: i64, point: &OperatingPoint) -> Self {
        let OperatingPoint { macs_cascade, macs_selected, accuracy, .. } = *point;
        Self { job_id, point: index, macs_cascade, macs_selected, accuracy }
    }

    fn read(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            job_id: row.get("job_id")?,
            point: row.get("point")?,
            macs_cascade: row.get("macs_cascade")?,
            macs_selected: row.get("macs_selected")?,
            accuracy: row.get("accuracy")?,
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

/// Advances the frontiers of every sweep that has the jobs whose points these are, each with its dataset.
pub(super) async fn advance(tx: &mut Transaction, points: &[(&str, Candidate)]) -> Result<(), sqlx::Error> {
    let jobs: BTreeSet<i64> = points.iter().map(|(_, point)| point.job_id).collect();
    let mut by_job: HashMap<i64, Vec<(&str, Candidate)>> = HashMap::new();
    for (dataset, point) in points {
        by_job.entry(point.job_id).or_default().push((*dataset, *point));
    }
    let mut places: BTreeMap<(i64, &str), Vec<Candidate>> = BTreeMap::new();
    for row in tx.all(sql::SWEEPS_OF_JOBS, args![json(&jobs.into_iter().collect::<Vec<_>>())]).await? {
        let (job_id, sweep_id): (i64, i64) = (row.get("job_id")?, row.get("sweep_id")?);
        for (dataset, point) in by_job.get(&job_id).into_iter().flatten() {
            places.entry((sweep_id, *dataset)).or_default().push(*point);
        }
    }
    for ((sweep_id, dataset), candidates) in places {
        insert(tx, sweep_id, dataset, &candidates).await?;
    }
    Ok(())
}

/// Writes the frontiers of a new sweep from the results that its jobs have already.
pub(super) async fn found(tx: &mut Transaction, sweep_id: i64) -> Result<(), sqlx::Error> {
    let rows = tx.all(sql::POINTS_OF_SWEEP_JOBS, args![sweep_id]).await?;
    let mut by_dataset: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
    for row in &rows {
        by_dataset.entry(row.get("dataset")?).or_default().push(Candidate::read(row)?);
    }
    for (dataset, points) in &by_dataset {
        insert(tx, sweep_id, dataset, points).await?;
    }
    Ok(())
}

/// Lets points enter the frontiers of a sweep and a dataset, one a metric.
async fn insert(tx: &mut Transaction, sweep_id: i64, dataset: &str, candidates: &[Candidate]) -> Result<(), sqlx::Error> {
    let mut members: HashMap<String, Vec<Candidate>> = HashMap::new();
    for row in tx.all(sql::FRONTIER_MEMBERS, args![sweep_id, dataset]).await? {
        members.entry(row.get("cost_metric")?).or_default().push(Candidate::read(&row)?);
    }
    let mut rows = Vec::new();
    for metric in CostMetric::ALL {
        let members = members.remove(metric.as_str()).unwrap_or_default();
        let points = |candidates: &[Candidate]| candidates.iter().map(|candidate| candidate.under(metric)).collect::<Vec<_>>();
        let Insertion { entered, displaced } = frontier::insert(&points(&members), &points(candidates));
        let row = |Candidate { job_id, point, .. }: Candidate| args![sweep_id, dataset, metric.as_str(), job_id, point];
        for index in displaced {
            tx.run(sql::DELETE_FRONTIER_POINT, row(members[index])).await?;
        }
        rows.extend(entered.into_iter().map(|index| row(candidates[index]).to_vec()));
    }
    tx.insert(sql::INSERT_FRONTIER_POINT, rows).await
}
