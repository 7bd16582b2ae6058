//! Writes frontiers anew from the results that there are, with the history that they would have if those had been accepted one after the other, and
//! no others ever.

use std::collections::{BTreeMap, HashMap, HashSet};

use offramp_domain::frontier::Point;

use super::step::{self, Extent};
use super::{ALL_SWEEPS, Accepted, Candidate, CostMetric, Group, Origin, Row, args, by_group, chance, keep_groups};
use super::{Known, Transaction, json, sql};
use crate::store::engine::Value;

/// Jobs whose points are in memory at once.
const JOBS_AT_ONCE: usize = 256;

/// Computes every frontier of a database whose results are older than its frontiers. Of several coordinators that start together, one does.
pub(in crate::store) async fn compute(tx: &mut Transaction) -> Result<(), sqlx::Error> {
    if is_computed(tx).await? {
        return Ok(());
    }
    tx.run_on_postgres(sql::postgres::LOCK_FRONTIERS, []).await?;
    if is_computed(tx).await? {
        return Ok(());
    }
    replay(tx, ALL_SWEEPS, None).await?;
    for row in tx.all(sql::EVERY_SWEEP, []).await? {
        replay(tx, row.get("id")?, None).await?;
    }
    tx.run(sql::SET_FRONTIERS_COMPUTED, []).await?;
    Ok(())
}

async fn is_computed(tx: &mut Transaction) -> Result<bool, sqlx::Error> {
    tx.one(sql::FRONTIER_UPKEEP, []).await?.get("is_computed")
}

/// Writes the frontiers of a new sweep from the results that its jobs have already.
pub(in crate::store) async fn found(tx: &mut Transaction, sweep_id: i64) -> Result<(), sqlx::Error> {
    replay(tx, sweep_id, None).await
}

/// Takes the results of jobs back, with all that belongs to them, and lets on the frontiers what they had kept off.
///
/// Nobody may accept a result from before this until the end of the transaction.
pub(in crate::store) async fn remove(tx: &mut Transaction, jobs: &[i64]) -> Result<(), sqlx::Error> {
    let jobs = json(jobs);
    let mut touched: BTreeMap<i64, HashSet<Group>> = BTreeMap::new();
    let mut ids = Vec::new();
    for row in tx.all(sql::FRONTIERS_OF_JOBS, args![&jobs]).await? {
        let group = Group::read(&row)?;
        ids.push(row.get::<i64>("id")?);
        touched.entry(group.sweep).or_default().insert(group);
    }
    let ids = json(&ids);
    tx.run(sql::DELETE_FRONTIER_POINTS, args![&ids]).await?;
    tx.run(sql::DELETE_FRONTIER_ADVANCES, args![&ids]).await?;
    tx.run(sql::DELETE_OPERATING_POINTS, args![&jobs]).await?;
    tx.run(sql::DELETE_EXIT_RESULTS, args![&jobs]).await?;
    tx.run(sql::DELETE_RESULTS, args![&jobs]).await?;
    tx.run(sql::COUNT_REMOVAL, []).await?;
    for (sweep, groups) in touched {
        replay(tx, sweep, Some(&groups)).await?;
    }
    Ok(())
}

/// Writes the frontiers of a scope that have no rows: all of them, or these.
async fn replay(tx: &mut Transaction, sweep: i64, only: Option<&HashSet<Group>>) -> Result<(), sqlx::Error> {
    let jobs =
        if sweep == ALL_SWEEPS { tx.all(sql::ACCEPTED_JOBS, []).await? } else { tx.all(sql::ACCEPTED_JOBS_OF_SWEEP, args![sweep]).await? };
    let jobs: Vec<(i64, Origin)> = jobs.iter().map(origin).collect::<Result<_, _>>()?;
    // Of what touches none of these frontiers, no points are read.
    let wanted = |origin: &Origin| {
        only.is_none_or(|only| CostMetric::ALL.iter().any(|metric| origin.groups(sweep, *metric).iter().any(|group| only.contains(group))))
    };
    let jobs: Vec<&(i64, Origin)> = jobs.iter().filter(|(_, origin)| wanted(origin)).collect();
    let mut courses: BTreeMap<Group, Course> = BTreeMap::new();
    for chunk in jobs.chunks(JOBS_AT_ONCE) {
        let ids: Vec<i64> = chunk.iter().map(|(_, origin)| origin.job_id).collect();
        let mut points: HashMap<i64, Vec<Candidate>> = HashMap::new();
        for row in tx.all(sql::POINTS_OF_JOBS, args![json(&ids)]).await? {
            points.entry(row.get("job_id")?).or_default().push(stored(&row)?);
        }
        for together in chunk.chunk_by(|a, b| a.0 == b.0) {
            let results: Vec<Accepted> = together
                .iter()
                .map(|(_, origin)| Accepted { origin: origin.clone(), points: points.remove(&origin.job_id).unwrap_or_default() })
                .collect();
            // The scope is one sweep, or none: then the groups are those of all sweeps.
            let sweeps: Vec<(i64, i64)> =
                results.iter().filter(|_| sweep != ALL_SWEEPS).map(|result| (result.origin.job_id, sweep)).collect();
            let all: Vec<Candidate> = results.iter().flat_map(|result| result.points.iter().copied()).collect();
            for (group, (n_classes, indices)) in by_group(&results, &sweeps) {
                if group.sweep == sweep && only.is_none_or(|only| only.contains(&group)) {
                    let metric = group.metric;
                    let candidates: Vec<Candidate> = indices.into_iter().map(|index| all[index]).collect();
                    courses.entry(group).or_insert_with(|| Course::new(n_classes)).advance(&candidates, metric, together[0].0);
                }
            }
        }
    }
    write(tx, &courses).await
}

async fn write(tx: &mut Transaction, courses: &BTreeMap<Group, Course>) -> Result<(), sqlx::Error> {
    if courses.is_empty() {
        return Ok(());
    }
    let groups: Vec<(&Group, u32)> = courses.iter().map(|(group, course)| (group, course.n_classes)).collect();
    let ids = keep_groups(tx, &Known::default(), &groups, 0).await?;
    let (mut rows, mut advances) = (Vec::new(), Vec::new());
    for (course, id) in courses.values().zip(ids) {
        rows.extend(course.rows.iter().flatten().map(|row| row.values(id)));
        let entered: HashSet<i64> = course.rows.iter().flatten().map(|row| row.entered_us).collect();
        let said = course.extents.iter().filter(|extent| entered.contains(&extent.at_us));
        advances.extend(said.map(|extent| args![id, extent.at_us, extent.hypervolume, extent.reference_cost].to_vec()));
    }
    tx.insert(sql::INSERT_FRONTIER_POINT, rows).await?;
    tx.insert(sql::INSERT_FRONTIER_ADVANCE, advances).await
}

fn origin(row: &Row) -> Result<(i64, Origin), sqlx::Error> {
    let origin = Origin {
        job_id: row.get("job_id")?,
        dataset: row.get("dataset")?,
        backbone: row.get("backbone")?,
        pattern: row.get("pattern")?,
        trainer: row.get("trainer")?,
        params: row.get("params")?,
        n_classes: row.get("n_classes")?,
    };
    Ok((row.get("at_us")?, origin))
}

fn stored(row: &Row) -> Result<Candidate, sqlx::Error> {
    Ok(Candidate {
        job_id: row.get("job_id")?,
        point: row.get("point")?,
        accuracy: row.get("accuracy")?,
        costs: [
            row.get("macs_cascade")?,
            row.get("macs_selected")?,
            row.get::<i64>("params")? as f64,
            row.get::<Option<f64>>("latency_us")?.unwrap_or(f64::NAN),
        ],
    })
}

/// A row of the history.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stay {
    job_id: i64,
    point: i64,
    at: Point,
    entered_us: i64,
    left: Option<(i64, i64)>,
}

impl Stay {
    fn values(&self, group_id: i64) -> Vec<Value> {
        let Self { job_id, point, at: Point { cost, accuracy }, entered_us, left } = *self;
        args![group_id, job_id, point, cost, accuracy, entered_us, left.map(|(at_us, _)| at_us), left.map(|(_, by)| by)].to_vec()
    }
}

/// A cost as a key: costs are finite, and zero has one sign.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cost(f64);

impl Eq for Cost {}

impl PartialOrd for Cost {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cost {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A frontier in memory, with its history.
#[derive(Debug)]
pub(super) struct Course {
    n_classes: u32,
    /// Every row; nothing where a point left in the microsecond in which it came.
    rows: Vec<Option<Stay>>,
    /// Those that stand, by cost.
    standing: BTreeMap<Cost, Vec<usize>>,
    extents: Vec<Extent>,
}

impl Course {
    pub(super) fn new(n_classes: u32) -> Self {
        Self { n_classes, rows: Vec::new(), standing: BTreeMap::new(), extents: Vec::new() }
    }

    fn accuracy(&self, rows: &[usize]) -> f64 {
        rows.first().and_then(|&row| self.rows[row]).map_or(f64::NAN, |row| row.at.accuracy)
    }

    /// Rows next to a point.
    fn around(&self, point: Point, found: &mut Vec<usize>) {
        let cost = Cost(point.cost);
        if let Some((_, before)) = self.standing.range(..=cost).next_back() {
            found.extend(before);
        }
        for (_, rows) in self.standing.range(cost..) {
            found.extend(rows);
            if self.accuracy(rows) > point.accuracy {
                break;
            }
        }
    }

    /// Accepts points at a time that is none before an earlier one.
    pub(super) fn advance(&mut self, candidates: &[Candidate], metric: CostMetric, at_us: i64) {
        let points: Vec<Point> = candidates.iter().map(|candidate| candidate.under(metric)).collect();
        let mut around = Vec::new();
        for point in &points {
            self.around(*point, &mut around);
        }
        around.sort_unstable();
        around.dedup();
        let neighbours: Vec<Point> = around.iter().filter_map(|&row| self.rows[row]).map(|row| row.at).collect();
        let extent = self.extents.last().copied().unwrap_or_default();
        let Some(advance) = step::advance(extent, chance(self.n_classes), &neighbours, &points) else { return };
        for (old, by) in advance.displaced {
            let (row, by) = (around[old], candidates[by].job_id);
            let Some(stay) = self.rows[row] else { continue };
            self.standing.remove(&Cost(stay.at.cost));
            self.rows[row] = (stay.entered_us < at_us).then_some(Stay { left: Some((at_us, by)), ..stay });
        }
        for entered in advance.entered {
            let Candidate { job_id, point, .. } = candidates[entered];
            self.standing.entry(Cost(points[entered].cost)).or_default().push(self.rows.len());
            self.rows.push(Some(Stay { job_id, point, at: points[entered], entered_us: at_us, left: None }));
        }
        let extent = Extent { at_us, hypervolume: advance.hypervolume, reference_cost: advance.reference_cost };
        match self.extents.last_mut().filter(|last| last.at_us == at_us) {
            Some(last) => *last = extent,
            None => self.extents.push(extent),
        }
    }
}
