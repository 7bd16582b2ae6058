//! Keeps each sweep's stored frontier equal to what its operating points come to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// Frontiers as they were read a moment ago. A frontier only ever gets better: what a point of it dominates has no place on it any more, whatever
/// has happened since. So nearly all points of a sweep in progress are dealt with without a look at the database, and without a lock.
#[derive(Debug, Default)]
pub(super) struct Known {
    frontiers: Mutex<HashMap<(i64, String), Seen>>,
}

/// A frontier as it was read.
#[derive(Debug, Clone)]
struct Seen {
    at_us: i64,
    /// Under each of [`CostMetric::ALL`].
    members: Arc<[Vec<Point>; 2]>,
}

impl Seen {
    /// Whether one of these points is not dominated by what was seen.
    fn lets_in(&self, candidates: &[Candidate]) -> bool {
        let metrics = CostMetric::ALL.into_iter().zip(&*self.members);
        metrics.into_iter().any(|(metric, members)| !frontier::insert(members, &points(candidates, metric)).entered.is_empty())
    }
}

/// For how long a frontier is known, microseconds. A server that is replaced by one which lags behind takes longer, and may have lost what was seen.
const KNOWN_FOR_US: i64 = 1_000_000;
/// Frontiers that are known at once, and points of one: a few megabytes in all.
const KNOWN_MOST: usize = 64;
const KNOWN_POINTS_MOST: usize = 2_000;

impl Known {
    fn get(&self, sweep_id: i64, dataset: &str, now_us: i64) -> Option<Seen> {
        let seen = self.frontiers().get(&(sweep_id, dataset.to_owned())).cloned()?;
        (seen.at_us..seen.at_us + KNOWN_FOR_US).contains(&now_us).then_some(seen)
    }

    /// Remembers a frontier that was read in a transaction which had not written to it.
    fn remember(&self, sweep_id: i64, dataset: &str, seen: &Seen) {
        let mut frontiers = self.frontiers();
        if seen.members.iter().any(|members| members.len() > KNOWN_POINTS_MOST) {
            frontiers.remove(&(sweep_id, dataset.to_owned()));
            return;
        }
        let place = (sweep_id, dataset.to_owned());
        if frontiers.len() >= KNOWN_MOST && !frontiers.contains_key(&place) {
            frontiers.clear();
        }
        frontiers.insert(place, seen.clone());
    }

    fn frontiers(&self) -> MutexGuard<'_, HashMap<(i64, String), Seen>> {
        // Each critical section leaves it whole.
        self.frontiers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Advances the frontiers of the sweeps that have the jobs whose points these are, each with its dataset. `sweeps` has pairs of a job and a sweep, read
/// since these jobs are this transaction's alone.
pub(super) async fn advance(
    tx: &mut Transaction,
    known: &Known,
    points: &[(&str, Candidate)],
    sweeps: &[(i64, i64)],
    now_us: i64,
) -> Result<(), sqlx::Error> {
    let mut by_job: HashMap<i64, Vec<(&str, Candidate)>> = HashMap::new();
    for (dataset, point) in points {
        by_job.entry(point.job_id).or_default().push((*dataset, *point));
    }
    let mut places: BTreeMap<(i64, &str), Vec<Candidate>> = BTreeMap::new();
    for (job_id, sweep_id) in sweeps {
        for (dataset, point) in by_job.get(job_id).into_iter().flatten() {
            places.entry((*sweep_id, *dataset)).or_default().push(*point);
        }
    }
    let mut entering = Vec::new();
    for ((sweep_id, dataset), candidates) in places {
        let seen = if let Some(seen) = known.get(sweep_id, dataset, now_us) {
            seen
        } else {
            let seen = seen(&read(tx, sweep_id, dataset).await?, now_us);
            known.remember(sweep_id, dataset, &seen);
            seen
        };
        if seen.lets_in(&candidates) {
            entering.push((sweep_id, dataset, candidates));
        }
    }
    if entering.is_empty() {
        return Ok(());
    }
    // In the order of their numbers, as everywhere; what is read from here on stays as it is.
    let ids: BTreeSet<i64> = entering.iter().map(|(sweep_id, ..)| *sweep_id).collect();
    tx.run_on_postgres(sql::postgres::LOCK_SWEEPS, args![json(&ids.into_iter().collect::<Vec<_>>())]).await?;
    for (sweep_id, dataset, candidates) in entering {
        let members = read(tx, sweep_id, dataset).await?;
        known.remember(sweep_id, dataset, &seen(&members, now_us));
        insert(tx, sweep_id, dataset, members, &candidates).await?;
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
        let members = read(tx, sweep_id, dataset).await?;
        insert(tx, sweep_id, dataset, members, points).await?;
    }
    Ok(())
}

/// The points on the frontiers of a sweep and a dataset, by metric.
type Members = HashMap<String, Vec<Candidate>>;

async fn read(tx: &mut Transaction, sweep_id: i64, dataset: &str) -> Result<Members, sqlx::Error> {
    let mut members = Members::new();
    for row in tx.all(sql::FRONTIER_MEMBERS, args![sweep_id, dataset]).await? {
        members.entry(row.get("cost_metric")?).or_default().push(Candidate::read(&row)?);
    }
    Ok(members)
}

fn points(candidates: &[Candidate], metric: CostMetric) -> Vec<Point> {
    candidates.iter().map(|candidate| candidate.under(metric)).collect()
}

fn seen(members: &Members, now_us: i64) -> Seen {
    let under = |metric: CostMetric| members.get(metric.as_str()).map_or_else(Vec::new, |members| points(members, metric));
    Seen { at_us: now_us, members: Arc::new(CostMetric::ALL.map(under)) }
}

/// Lets points enter the frontiers of a sweep and a dataset, one a metric.
async fn insert(
    tx: &mut Transaction,
    sweep_id: i64,
    dataset: &str,
    mut members: Members,
    candidates: &[Candidate],
) -> Result<(), sqlx::Error> {
    let mut rows = Vec::new();
    for metric in CostMetric::ALL {
        let members = members.remove(metric.as_str()).unwrap_or_default();
        let Insertion { entered, displaced } = frontier::insert(&points(&members, metric), &points(candidates, metric));
        let row = |Candidate { job_id, point, .. }: Candidate| args![sweep_id, dataset, metric.as_str(), job_id, point];
        for index in displaced {
            tx.run(sql::DELETE_FRONTIER_POINT, row(members[index])).await?;
        }
        rows.extend(entered.into_iter().map(|index| row(candidates[index]).to_vec()));
    }
    tx.insert(sql::INSERT_FRONTIER_POINT, rows).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_US: i64 = 1_700_000_000_000_000;

    fn candidate(macs: f64, accuracy: f64) -> Candidate {
        Candidate { job_id: 1, point: 0, macs_cascade: macs, macs_selected: macs / 2.0, accuracy }
    }

    fn seen_with(members: &[Candidate]) -> Seen {
        seen(&CostMetric::ALL.into_iter().map(|metric| (metric.as_str().to_owned(), members.to_vec())).collect(), NOW_US)
    }

    #[test]
    fn what_was_seen_keeps_off_what_it_dominates_and_nothing_else() {
        let seen = seen_with(&[candidate(100.0, 0.5), candidate(200.0, 0.75)]);
        for (macs, accuracy, enters) in
            [(150.0, 0.5, false), (100.0, 0.25, false), (100.0, 0.5, true), (50.0, 0.25, true), (150.0, 0.625, true), (300.0, 0.875, true)]
        {
            assert_eq!(seen.lets_in(&[candidate(macs, accuracy)]), enters, "{macs} MACs, accuracy {accuracy}");
        }
        // Under one metric is enough, and one of several.
        let cheap_if_selected = Candidate { macs_selected: 10.0, ..candidate(150.0, 0.5) };
        assert!(seen.lets_in(&[candidate(150.0, 0.5), cheap_if_selected]));
        assert!(seen_with(&[]).lets_in(&[candidate(1.0, 0.0)]));
    }

    #[test]
    fn what_was_seen_is_forgotten_after_a_moment() {
        let known = Known::default();
        let remembers = |sweep, dataset, now_us| known.get(sweep, dataset, now_us).is_some();
        assert!(!remembers(1, "digits", NOW_US));
        known.remember(1, "digits", &seen_with(&[candidate(1.0, 0.5)]));
        assert!(remembers(1, "digits", NOW_US) && remembers(1, "digits", NOW_US + KNOWN_FOR_US - 1));
        assert!(!remembers(1, "digits", NOW_US + KNOWN_FOR_US));
        assert!(!remembers(1, "digits", NOW_US - 1), "the clock was set back");
        assert!(!remembers(2, "digits", NOW_US) && !remembers(1, "cifar10", NOW_US));
        // One that has become too large to be remembered is not remembered as it was before.
        known.remember(1, "digits", &seen_with(&vec![candidate(1.0, 0.5); KNOWN_POINTS_MOST + 1]));
        assert!(!remembers(1, "digits", NOW_US));
        for sweep in 0..10 * KNOWN_MOST as i64 {
            known.remember(sweep, "digits", &seen_with(&[]));
        }
        assert!(known.frontiers().len() <= KNOWN_MOST);
    }
}
