//! Keeps every stored frontier equal to what the operating points come to (decision 0009).
//!
//! A result belongs to the frontiers of its dataset, of its dataset and backbone, and of its dataset and pattern, of each sweep that has its job and
//! of all sweeps together, under each cost. What an accepted point does to one of them depends on its neighbours there alone (`step`), which are found
//! by an index however many points are stored. Nearly all points are dominated by what is `known` already, and need no look at the database at all.
//! Where results come or go in any other way than by being accepted, `replay` writes the frontiers anew.

mod known;
mod replay;
mod step;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use offramp_domain::frontier::{Point, non_dominated};
use offramp_domain::outcome::OperatingPoint;
use serde::Serialize;

pub(super) use self::known::Known;
pub(super) use self::replay::{compute, found, remove};
use self::step::Extent;
use super::engine::{Row, Value, args};
use super::{Transaction, json, sql};

/// What a frontier's cost is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CostMetric {
    /// Expected MACs of a sample, every branch on the way paid.
    MacsCascade,
    /// Expected MACs of a sample, only the answering branch paid.
    MacsSelected,
    /// Trainable parameters of the network.
    Params,
    /// Measured mean time to one answer, microseconds. Points that were not measured have no place on such a frontier, and each trainer has its own.
    LatencyUs,
}

impl CostMetric {
    /// Every metric that frontiers are kept for.
    pub const ALL: [Self; 4] = [Self::MacsCascade, Self::MacsSelected, Self::Params, Self::LatencyUs];

    /// The metric's name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MacsCascade => "macs_cascade",
            Self::MacsSelected => "macs_selected",
            Self::Params => "params",
            Self::LatencyUs => "latency_us",
        }
    }

    /// Reads a metric's name; `None` where no metric has it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == name)
    }
}

/// Which points stand on one frontier together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grouping {
    /// Those of a dataset.
    Dataset,
    /// Those of a dataset and a backbone.
    Backbone,
    /// Those of a dataset and a budget pattern.
    Pattern,
}

impl Grouping {
    /// Every grouping that frontiers are kept for.
    pub const ALL: [Self; 3] = [Self::Dataset, Self::Backbone, Self::Pattern];

    /// The grouping's name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::Backbone => "backbone",
            Self::Pattern => "pattern",
        }
    }

    /// Reads a grouping's name; `None` where none has it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grouping| grouping.as_str() == name)
    }
}

/// Which frontiers to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrontierFilter {
    /// Of one sweep, by id; `None` for those of all sweeps together.
    pub sweep: Option<i64>,
    /// Which points stand together.
    pub grouping: Grouping,
    /// By which cost.
    pub metric: CostMetric,
}

impl FrontierFilter {
    /// A sweep's frontiers, one for each dataset.
    pub fn of_sweep(sweep: i64, metric: CostMetric) -> Self {
        Self { sweep: Some(sweep), grouping: Grouping::Dataset, metric }
    }

    pub(super) fn values(self) -> [Value; 3] {
        args![self.sweep.unwrap_or(ALL_SWEEPS), self.grouping.as_str(), self.metric.as_str()]
    }
}

/// A frontier: what is compared, and by which cost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Group {
    /// 0 for all sweeps together.
    sweep: i64,
    grouping: Grouping,
    dataset: String,
    /// Empty where it is not part of the group; so are the next two.
    backbone: String,
    pattern: String,
    trainer: String,
    metric: CostMetric,
}

impl Group {
    fn read(row: &Row) -> Result<Self, sqlx::Error> {
        let unknown = |name: &str| sqlx::Error::Decode(format!("`{name}` is no frontier's").into());
        let (grouping, metric): (String, String) = (row.get("grouping")?, row.get("cost_metric")?);
        Ok(Self {
            sweep: row.get("sweep")?,
            grouping: Grouping::parse(&grouping).ok_or_else(|| unknown(&grouping))?,
            dataset: row.get("dataset")?,
            backbone: row.get("backbone")?,
            pattern: row.get("pattern")?,
            trainer: row.get("trainer")?,
            metric: CostMetric::parse(&metric).ok_or_else(|| unknown(&metric))?,
        })
    }

    /// As `insert_frontier_group.sql` takes it.
    fn values(&self, n_classes: u32) -> Vec<Value> {
        let sweep = (self.sweep != 0).then_some(self.sweep);
        let chance = chance(n_classes);
        let (grouping, metric) = (self.grouping.as_str(), self.metric.as_str());
        args![grouping, sweep, &self.dataset, &self.backbone, &self.pattern, &self.trainer, metric, chance].to_vec()
    }

    fn key(&self) -> GroupKey<'_> {
        let Self { sweep, grouping, dataset, backbone, pattern, trainer, metric } = self;
        GroupKey { sweep: *sweep, grouping: grouping.as_str(), dataset, backbone, pattern, trainer, metric: metric.as_str() }
    }
}

/// A group as `keep_frontier_groups.sql` reads it.
#[derive(Serialize)]
struct GroupKey<'a> {
    sweep: i64,
    grouping: &'static str,
    dataset: &'a str,
    backbone: &'a str,
    pattern: &'a str,
    trainer: &'a str,
    metric: &'static str,
}

/// The accuracy of a guess.
fn chance(n_classes: u32) -> f64 {
    1.0 / f64::from(n_classes.max(1))
}

/// What a job's points are grouped by.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Origin {
    pub(super) job_id: i64,
    pub(super) dataset: String,
    pub(super) backbone: String,
    pub(super) pattern: String,
    pub(super) trainer: String,
    pub(super) params: i64,
    pub(super) n_classes: u32,
}

impl Origin {
    /// The frontiers that the job's points belong to under a metric, of one sweep or of all.
    fn groups(&self, sweep: i64, metric: CostMetric) -> [Group; 3] {
        Grouping::ALL.map(|grouping| {
            let part = |of: Grouping, name: &String| if grouping == of { name.clone() } else { String::new() };
            Group {
                sweep,
                grouping,
                dataset: self.dataset.clone(),
                backbone: part(Grouping::Backbone, &self.backbone),
                pattern: part(Grouping::Pattern, &self.pattern),
                trainer: if metric == CostMetric::LatencyUs { self.trainer.clone() } else { String::new() },
                metric,
            }
        })
    }
}

/// An operating point, as far as frontiers care.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub(super) job_id: i64,
    pub(super) point: i64,
    pub(super) accuracy: f64,
    /// Under each of [`CostMetric::ALL`]; not a number where the point has none.
    costs: [f64; 4],
}

impl Candidate {
    pub(super) fn new(origin: &Origin, index: i64, point: &OperatingPoint) -> Self {
        let costs = [point.macs_cascade, point.macs_selected, origin.params as f64, point.latency_us.unwrap_or(f64::NAN)];
        Self { job_id: origin.job_id, point: index, accuracy: point.accuracy, costs }
    }

    fn under(&self, metric: CostMetric) -> Point {
        // Zero has one sign, as in an index.
        Point { cost: self.costs[metric as usize] + 0.0, accuracy: self.accuracy + 0.0 }
    }
}

/// An accepted result: where it belongs, and its points.
#[derive(Debug, Clone)]
pub(super) struct Accepted {
    pub(super) origin: Origin,
    pub(super) points: Vec<Candidate>,
}

/// Advances the frontiers that accepted results belong to. `sweeps` has pairs of a job and a sweep, and `n_removals` says how often results were
/// removed, both read since these jobs are this transaction's alone and since no result can be removed until its end.
pub(super) async fn advance(
    tx: &mut Transaction,
    known: &Known,
    accepted: &[Accepted],
    sweeps: &[(i64, i64)],
    n_removals: i64,
    now_us: i64,
) -> Result<(), sqlx::Error> {
    known.heed(n_removals);
    let all: Vec<Candidate> = accepted.iter().flat_map(|result| result.points.iter().copied()).collect();
    let mut entering: Vec<(Group, u32, Vec<usize>)> = Vec::new();
    for (group, (n_classes, mut indices)) in by_group(accepted, sweeps) {
        let point = |index: usize| all[index].under(group.metric);
        known.filter(&group, point, &mut indices, now_us);
        let points: Vec<Point> = indices.iter().map(|&index| point(index)).collect();
        let indices: Vec<usize> = non_dominated(&points).into_iter().map(|index| indices[index]).collect();
        if !indices.is_empty() {
            entering.push((group, n_classes, indices));
        }
    }
    if entering.is_empty() {
        return Ok(());
    }
    let groups: Vec<(&Group, u32)> = entering.iter().map(|(group, n_classes, _)| (group, *n_classes)).collect();
    let ids = keep_groups(tx, known, &groups, now_us).await?;
    let asked: Vec<Asked> = entering
        .iter()
        .zip(&ids)
        .flat_map(|((group, _, indices), id)| {
            let ask =
                |&index: &usize| Asked { group_id: *id, metric: group.metric.as_str(), job_id: all[index].job_id, point: all[index].point };
            indices.iter().map(ask)
        })
        .collect();
    let mut around = Around::read(&tx.all(sql::FRONTIER_NEIGHBOURS, args![json(&asked)]).await?)?;

    let (mut rows, mut advances, mut displaced) = (Vec::new(), Vec::new(), Vec::new());
    for ((group, n_classes, indices), id) in entering.iter().zip(ids) {
        let neighbours = around.neighbours.remove(&id).unwrap_or_default();
        let members: Vec<Point> = neighbours.iter().map(|neighbour| neighbour.at).collect();
        let extent = around.extents.get(&id).copied();
        if extent.is_some() {
            // It was committed: what this transaction makes is not, and may never be.
            known.remember(group, id, &members, n_removals, now_us);
        }
        let extent = extent.unwrap_or_default();
        let candidates: Vec<Point> = indices.iter().map(|&index| all[index].under(group.metric)).collect();
        let Some(advance) = step::advance(extent, chance(*n_classes), &members, &candidates) else { continue };
        // Another coordinator, whose clock was read later, may have been here before.
        let at_us = now_us.max(extent.at_us);
        for &entered in &advance.entered {
            let Candidate { job_id, point, .. } = all[indices[entered]];
            let Point { cost, accuracy } = candidates[entered];
            rows.push(args![id, job_id, point, cost, accuracy, at_us, None::<i64>, None::<i64>].to_vec());
        }
        displaced.extend(advance.displaced.iter().map(|&(old, by)| {
            let Neighbour { id, .. } = neighbours[old];
            Displaced { id, by: all[indices[by]].job_id, at_us }
        }));
        advances.push(args![id, at_us, advance.hypervolume, advance.reference_cost].to_vec());
    }
    let insertions = vec![(sql::INSERT_FRONTIER_POINT, rows), (sql::INSERT_FRONTIER_ADVANCE, advances)];
    if displaced.is_empty() {
        for (statement, rows) in insertions {
            tx.insert(statement, rows).await?;
        }
        return Ok(());
    }
    tx.insert_and_run(insertions, sql::DISPLACE_FRONTIER_POINTS, args![json(&displaced)]).await?;
    Ok(())
}

/// The points that may matter to each frontier, as indices into all of them, with the number of classes: of each result those that no other of the
/// same result dominates.
fn by_group(accepted: &[Accepted], sweeps: &[(i64, i64)]) -> BTreeMap<Group, (u32, Vec<usize>)> {
    let mut sweeps_of: HashMap<i64, Vec<i64>> = HashMap::new();
    for (job_id, sweep_id) in sweeps {
        sweeps_of.entry(*job_id).or_default().push(*sweep_id);
    }
    let mut groups: BTreeMap<Group, (u32, Vec<usize>)> = BTreeMap::new();
    let mut first = 0;
    for Accepted { origin, points } in accepted {
        let of_sweeps = sweeps_of.get(&origin.job_id).into_iter().flatten().copied();
        let scopes: Vec<i64> = of_sweeps.chain([ALL_SWEEPS]).collect();
        for metric in CostMetric::ALL {
            let places: Vec<Point> = points.iter().map(|point| point.under(metric)).collect();
            let best: Vec<usize> = non_dominated(&places).into_iter().map(|index| first + index).collect();
            if best.is_empty() {
                continue;
            }
            for group in scopes.iter().flat_map(|sweep| origin.groups(*sweep, metric)) {
                groups.entry(group).or_insert((origin.n_classes, Vec::new())).1.extend(&best);
            }
        }
        first += points.len();
    }
    groups
}

/// As the scope of a group, all sweeps together.
const ALL_SWEEPS: i64 = 0;

/// The numbers of frontiers, which are made where they do not exist. Until the end of the transaction nobody else advances them.
async fn keep_groups(tx: &mut Transaction, known: &Known, groups: &[(&Group, u32)], now_us: i64) -> Result<Vec<i64>, sqlx::Error> {
    let known_ids: Vec<Option<i64>> = groups.iter().map(|(group, _)| known.id(group, now_us)).collect();
    if tx.has_one_writer()
        && let Some(ids) = known_ids.iter().copied().collect::<Option<Vec<i64>>>()
    {
        return Ok(ids);
    }
    // In the order of their keys, and before any is locked: of two transactions that make the same ones, one waits for the other here alone.
    let unknown = groups.iter().zip(&known_ids).filter(|(_, id)| id.is_none()).map(|((group, n_classes), _)| group.values(*n_classes));
    tx.insert(sql::INSERT_FRONTIER_GROUP, unknown.collect()).await?;
    let keys: Vec<GroupKey<'_>> = groups.iter().map(|(group, _)| group.key()).collect();
    let mut ids = HashMap::with_capacity(groups.len());
    for row in tx.all(sql::KEEP_FRONTIER_GROUPS, args![json(&keys)]).await? {
        ids.insert(Group::read(&row)?, row.get::<i64>("id")?);
    }
    let ids: Vec<i64> =
        groups.iter().map(|(group, _)| ids.get(*group).copied().ok_or(sqlx::Error::RowNotFound)).collect::<Result<_, _>>()?;
    Ok(ids)
}

/// A point to place, as `frontier_neighbours.sql` reads it.
#[derive(Serialize)]
struct Asked {
    group_id: i64,
    metric: &'static str,
    job_id: i64,
    point: i64,
}

/// A point that has left a frontier, as `displace_frontier_points.sql` reads it.
#[derive(Serialize)]
struct Displaced {
    id: i64,
    by: i64,
    at_us: i64,
}

/// A point on a frontier.
#[derive(Debug, Clone, Copy)]
struct Neighbour {
    id: i64,
    at: Point,
}

/// What there is of frontiers around candidates.
#[derive(Debug, Default)]
struct Around {
    neighbours: HashMap<i64, Vec<Neighbour>>,
    extents: HashMap<i64, Extent>,
}

impl Around {
    fn read(rows: &[Row]) -> Result<Self, sqlx::Error> {
        let mut around = Self::default();
        for row in rows {
            let (group, cost, accuracy): (i64, f64, f64) = (row.get("group_id")?, row.get("cost")?, row.get("accuracy")?);
            if let Some(id) = row.get::<Option<i64>>("id")? {
                around.neighbours.entry(group).or_default().push(Neighbour { id, at: Point { cost, accuracy } });
            } else {
                around.extents.insert(group, Extent { at_us: row.get("at_us")?, hypervolume: accuracy, reference_cost: cost });
            }
        }
        Ok(around)
    }
}
