//! What jobs reached, group by group and seed by seed: what bands and indicators are made from.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use offramp_coordinator::store::Query;
use offramp_domain::frontier::Point;
use offramp_domain::table::ValueRef;
use tokio_stream::StreamExt;

use crate::args::{CostChoice, FrontierArguments, GroupingChoice};
use crate::commands::listing;
use crate::failure::Failure;
use crate::source::Source;

/// Which points are held against each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) dataset: String,
    /// Of groups by backbone.
    pub(super) backbone: Option<String>,
    /// Of groups by pattern.
    pub(super) pattern: Option<String>,
    /// Of groups by latency: what one machine took says nothing of another.
    pub(super) trainer: Option<String>,
}

/// An operating point.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reached {
    pub(super) job: String,
    pub(super) pattern: String,
    pub(super) seed: u64,
    pub(super) point: Point,
    /// Trainable parameters of its network.
    pub(super) params: f64,
}

pub(super) type Groups = BTreeMap<Group, Vec<Reached>>;

/// What of a job its operating points do not say.
struct Job {
    params: f64,
    trainer: String,
}

/// Checks the filter, which is one of operating points here.
pub(super) fn check(arguments: &FrontierArguments) -> Result<(), Failure> {
    listing::parse(listing::stored("v_operating_points"), &arguments.select).map(drop)
}

/// Reads the points that are asked for.
pub(super) async fn read(source: &Source, arguments: &FrontierArguments) -> Result<Groups, Failure> {
    let sweep = (!arguments.global).then_some(arguments.sweep.as_str());
    let jobs = jobs(source, sweep).await?;
    let view = listing::stored("v_operating_points");
    let asked = listing::parse(view, &arguments.select)?;
    let cost = match arguments.cost {
        // Of these, parameters are looked up by the job.
        CostChoice::Macs | CostChoice::Params => "macs_cascade",
        CostChoice::MacsSelected => "macs_selected",
        CostChoice::Latency => "latency_us",
    };
    let names = ["job", "dataset", "backbone", "pattern", "seed", "accuracy", cost];
    let columns = names.iter().filter_map(|name| view.index_of(name).ok()).collect();
    let mut batches = source.select(view, sweep, Query { filter: asked.filter, columns, ..Query::default() }).await?;
    let mut groups = Groups::new();
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        for row in 0..batch.n_rows {
            let text = |column: usize| match batch.columns[column].get(row) {
                ValueRef::Text(text) => text,
                _ => "",
            };
            let number = |column: usize| match batch.columns[column].get(row) {
                ValueRef::Real(number) => Some(number),
                ValueRef::Integer(number) => Some(number as f64),
                _ => None,
            };
            // A job that was removed in between is gone with its points.
            let Some(job) = jobs.get(text(0)) else { continue };
            let cost = if arguments.cost == CostChoice::Params { Some(job.params) } else { number(6) };
            let (Some(cost), Some(accuracy)) = (cost, number(5)) else { continue };
            let group = Group {
                dataset: text(1).to_owned(),
                backbone: (arguments.by == GroupingChoice::Backbone).then(|| text(2).to_owned()),
                pattern: (arguments.by == GroupingChoice::Pattern).then(|| text(3).to_owned()),
                trainer: (arguments.cost == CostChoice::Latency).then(|| job.trainer.clone()),
            };
            let seed = match batch.columns[4].get(row) {
                ValueRef::Integer(seed) => seed.cast_unsigned(),
                _ => 0,
            };
            let point = Point { cost, accuracy };
            let reached = Reached { job: text(0).to_owned(), pattern: text(3).to_owned(), seed, point, params: job.params };
            groups.entry(group).or_default().push(reached);
        }
    }
    Ok(groups)
}

async fn jobs(source: &Source, sweep: Option<&str>) -> Result<HashMap<String, Job>, Failure> {
    let view = listing::stored("v_jobs");
    let columns = ["job", "params", "trainer"].iter().filter_map(|name| view.index_of(name).ok()).collect();
    let mut batches = source.select(view, sweep, Query { columns, ..Query::default() }).await?;
    let mut jobs = HashMap::new();
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        for row in 0..batch.n_rows {
            let values = [0, 1, 2].map(|column: usize| batch.columns[column].get(row));
            // Without a trainer there is no result yet.
            if let [ValueRef::Text(job), ValueRef::Integer(params), ValueRef::Text(trainer)] = values {
                jobs.insert(job.to_owned(), Job { params: params as f64, trainer: trainer.to_owned() });
            }
        }
    }
    Ok(jobs)
}

/// The points of each seed.
pub(super) fn by_seed(reached: &[Reached]) -> BTreeMap<u64, Vec<Point>> {
    let mut seeds: BTreeMap<u64, Vec<Point>> = BTreeMap::new();
    for one in reached {
        seeds.entry(one.seed).or_default().push(one.point);
    }
    seeds
}

/// Of groups where seeds have unequal numbers of jobs, the least and the greatest of them: what fewer jobs attain is less.
pub(super) fn uneven(reached: &[Reached]) -> Option<(usize, usize)> {
    let mut jobs: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    for one in reached {
        jobs.entry(one.seed).or_default().insert(&one.job);
    }
    let (least, most) = (jobs.values().map(BTreeSet::len).min()?, jobs.values().map(BTreeSet::len).max()?);
    (least < most).then_some((least, most))
}
