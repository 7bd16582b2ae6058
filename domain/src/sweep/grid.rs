//! From the grid to its jobs: count, exclude, collapse, determine networks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;
use std::mem::Discriminant;
use std::ops::Range;
use std::sync::Arc;

use super::SweepJob;
use super::axes::{Axes, BACKBONE, BUDGET, Cell, DATASET, EXITS, N_AXES, PATTERN};
use super::exclude::Exclude;
use super::reader::Reader;
use crate::job::{BranchConfig, BranchRule, CONFIG_VERSION, Evaluation, JobConfig, Pattern, Recipe};
use crate::network::{self, Field, Network, NetworkError};

/// A combination's jobs are held in memory while a sweep is submitted: about half a kilobyte each.
const MAX_COMBINATIONS: usize = 1_000_000;

/// Solving a network takes up to milliseconds and holding one tens of kilobytes.
const MAX_NETWORKS: usize = 10_000;

/// Networks that may fail before the rest is left for the next try: a failure looks for the nearest budgets that could be met.
const MAX_FAILURES: usize = 1_000;

/// What all jobs of a sweep share.
pub(super) struct Common {
    pub(super) rule: BranchRule,
    /// Place of the rule, for what cannot be built by it.
    pub(super) rule_place: Range<usize>,
    pub(super) evaluation: Evaluation,
}

/// Lists the grid's jobs, each once, the last axis fastest. What cannot be built is reported at the value at fault.
pub(super) fn expand(reader: &mut Reader, axes: &Axes, excludes: &[Exclude], common: &Common, place: &Range<usize>) -> Vec<SweepJob> {
    if !is_bounded(reader, axes, place) {
        return Vec::new();
    }
    let mut networks = Networks { axes, common, solved: BTreeMap::new(), failures: Failures::default() };
    let mut collapsed = HashSet::new();
    let mut jobs = Vec::new();
    for cell in cells(axes.lengths()) {
        if excludes.iter().any(|exclude| exclude.matches(&cell)) {
            continue;
        }
        // A network without branches is the same one whatever the exits and the budget.
        let is_plain = axes.pattern.value(cell[PATTERN]).is_none();
        if is_plain && !collapsed.insert(without_branches(cell)) {
            continue;
        }
        let network = networks.get(if is_plain { without_branches(cell) } else { cell });
        jobs.extend(network.map(|network| SweepJob { config: config(axes, common, &cell), network }));
        if networks.failures.n_networks >= MAX_FAILURES {
            break;
        }
    }
    let groups = networks.groups();
    networks.failures.report(reader, axes, &groups);
    report_alike(reader, axes, common, &groups);
    if jobs.is_empty() && !reader.has_problems() {
        let place = excludes.last().map_or_else(|| place.clone(), |exclude| exclude.place.clone());
        reader.report(place, "the sweep has no job: every combination is excluded", Some("exclude less".to_owned()));
    }
    jobs
}

/// Counts before anything is expanded.
fn is_bounded(reader: &mut Reader, axes: &Axes, place: &Range<usize>) -> bool {
    let lengths = axes.lengths();
    let n_combinations = lengths.iter().fold(1_u128, |count, &length| count.saturating_mul(length as u128));
    if n_combinations > MAX_COMBINATIONS as u128 {
        let written = lengths.iter().filter(|&&length| length > 1).map(ToString::to_string).collect::<Vec<_>>().join(" x ");
        let message = format!("the axes make {n_combinations} combinations ({written}), more than the {MAX_COMBINATIONS} allowed");
        reader.report(place.clone(), message, Some("take values off an axis, or split the sweep".to_owned()));
        return false;
    }
    let n_networks: usize = lengths[..=PATTERN].iter().product();
    if n_networks > MAX_NETWORKS {
        let message = format!("the axes make {n_networks} networks, more than the {MAX_NETWORKS} allowed");
        reader.report(place.clone(), message, Some("take values off `exits`, `budget` or `pattern`, or split the sweep".to_owned()));
        return false;
    }
    true
}

/// Every cell, the last axis fastest; none where an axis is empty.
fn cells(lengths: Cell) -> impl Iterator<Item = Cell> {
    let n_cells = lengths.iter().product::<usize>();
    (0..n_cells).map(move |index| {
        let mut rest = index;
        let mut cell = [0; N_AXES];
        for axis in (0..N_AXES).rev() {
            cell[axis] = rest % lengths[axis];
            rest /= lengths[axis];
        }
        cell
    })
}

fn without_branches(mut cell: Cell) -> Cell {
    cell[EXITS] = 0;
    cell[BUDGET] = 0;
    cell
}

fn config(axes: &Axes, common: &Common, cell: &Cell) -> JobConfig {
    let &[backbone, dataset, exits, budget, pattern, epochs, batch_size, optimizer, schedule, augment, seed] = cell;
    let branches = axes.pattern.value(pattern).as_ref().map(|pattern| BranchConfig {
        exits: axes.exits.value(exits).clone(),
        pattern: pattern.clone(),
        budget: axes.budget.value(budget).expect("a sweep without a budget has only the pattern `none`"),
        rule: common.rule,
    });
    JobConfig {
        version: CONFIG_VERSION,
        backbone: axes.backbone.value(backbone).clone(),
        dataset: axes.dataset.value(dataset).clone(),
        branches,
        recipe: Recipe {
            epochs: *axes.epochs.value(epochs),
            batch_size: *axes.batch_size.value(batch_size),
            optimizer: *axes.optimizer.value(optimizer),
            schedule: axes.schedule.value(schedule).clone(),
            augment: *axes.augment.value(augment),
        },
        evaluation: common.evaluation.clone(),
        seed: *axes.seed.value(seed),
    }
}

/// Positions of a network: jobs that differ in training alone share one.
type Deciding = [usize; PATTERN + 1];

/// Networks that differ in their pattern alone, by their backbone, dataset, exits and budget; each group in the order of the patterns.
/// They are what a sweep compares.
type Groups = BTreeMap<[usize; PATTERN], Vec<(usize, Option<Arc<Network>>)>>;

/// Networks by the axes that decide on them.
struct Networks<'a> {
    axes: &'a Axes,
    common: &'a Common,
    /// `None` where there is none to be built.
    solved: BTreeMap<Deciding, Option<Arc<Network>>>,
    failures: Failures,
}

impl Networks<'_> {
    fn get(&mut self, cell: Cell) -> Option<Arc<Network>> {
        let deciding = deciding(&cell);
        if let Some(network) = self.solved.get(&deciding) {
            return network.clone();
        }
        let config = config(self.axes, self.common, &cell);
        let network = match network::assemble(&config) {
            Ok(network) => Some(Arc::new(network)),
            Err(error) => {
                self.failures.add(self.place(error.field(), &cell), error, config, deciding);
                None
            }
        };
        self.solved.insert(deciding, network.clone());
        network
    }

    /// The networks with branches, whether they could be built or not.
    fn groups(&self) -> Groups {
        let mut groups = Groups::new();
        for (&[backbone, dataset, exits, budget, pattern], network) in &self.solved {
            if self.axes.pattern.value(pattern).is_some() {
                groups.entry([backbone, dataset, exits, budget]).or_default().push((pattern, network.clone()));
            }
        }
        groups
    }

    fn place(&self, field: Field, cell: &Cell) -> Range<usize> {
        match field {
            Field::Backbone => self.axes.backbone.place(cell[BACKBONE]),
            Field::Dataset => self.axes.dataset.place(cell[DATASET]),
            Field::Exits => self.axes.exits.place(cell[EXITS]),
            Field::Pattern => self.axes.pattern.place(cell[PATTERN]),
            Field::Budget => self.axes.budget.place(cell[BUDGET]),
            Field::Branch => self.common.rule_place.clone(),
        }
    }
}

fn deciding(cell: &Cell) -> Deciding {
    [cell[BACKBONE], cell[DATASET], cell[EXITS], cell[BUDGET], cell[PATTERN]]
}

/// Networks that cannot be built. A value at fault tends to fail in many cells; it is told once, of the first of them.
#[derive(Default)]
struct Failures {
    told: Vec<Failure>,
    positions: HashMap<(Range<usize>, Discriminant<NetworkError>), usize>,
    n_networks: usize,
}

struct Failure {
    place: Range<usize>,
    error: NetworkError,
    config: JobConfig,
    group: [usize; PATTERN],
    n_others: usize,
}

impl Failures {
    fn add(&mut self, place: Range<usize>, error: NetworkError, config: JobConfig, deciding: Deciding) {
        self.n_networks += 1;
        let key = (place.clone(), std::mem::discriminant(&error));
        if let Some(&position) = self.positions.get(&key) {
            self.told[position].n_others += 1;
            return;
        }
        self.positions.insert(key, self.told.len());
        let [group @ .., _] = deciding;
        self.told.push(Failure { place, error, config, group, n_others: 0 });
    }

    fn report(self, reader: &mut Reader, axes: &Axes, groups: &Groups) {
        for Failure { place, error, config, group, n_others } in self.told {
            let cell = [config.pattern_label(), config.exits_label(), config.budget_label()].join(", ");
            let others = others(n_others, "network");
            let message = format!("{}, for `{}` on `{}` ({cell}){others}", with_sources(&error), config.backbone, config.dataset);
            // Looking for budgets takes time, so not for what is only counted.
            let hint = (!reader.is_full()).then(|| {
                let compared = groups.get(&group).into_iter().flatten();
                let patterns: Vec<Pattern> = compared.filter_map(|(pattern, _)| axes.pattern.value(*pattern).clone()).collect();
                error.hint_for_all(&config, &patterns)
            });
            reader.report(place, message, hint);
        }
    }
}

/// Reports patterns that come to the same branches, as small budgets and slopes do: what a sweep then compares is chance. Each pair once,
/// at the later of the two; of several alike, each beside the first.
fn report_alike(reader: &mut Reader, axes: &Axes, common: &Common, groups: &Groups) {
    let mut told: Vec<Alike> = Vec::new();
    let mut positions = HashMap::new();
    for (&[backbone, dataset, exits, budget], networks) in groups {
        let mut firsts = HashMap::new();
        for (pattern, network) in networks.iter().filter_map(|(pattern, network)| Some((*pattern, network.as_ref()?))) {
            // Where the exits are the same, depths and widths are all that branches can differ in.
            let sizes: Vec<(usize, usize)> = network.branches.iter().map(|branch| (branch.depth, branch.width)).collect();
            let n_exits = sizes.len();
            let first = *firsts.entry(sizes).or_insert(pattern);
            if first == pattern {
                continue;
            }
            let position = *positions.entry([first, pattern]).or_insert_with(|| {
                let cell = [backbone, dataset, exits, budget, pattern, 0, 0, 0, 0, 0, 0];
                told.push(Alike { first, pattern, config: config(axes, common, &cell), n_exits, n_cells: 0 });
                told.len() - 1
            });
            told[position].n_cells += 1;
        }
    }
    for Alike { first, pattern, config, n_exits, n_cells } in told {
        let [earlier, later] = [first, pattern].map(|position| reader.quote(axes.pattern.place(position)));
        let cell = [config.exits_label(), config.budget_label()].join(", ");
        let others = others(n_cells - 1, "combination");
        let message =
            format!("{earlier} and {later} build the same branches, for `{}` on `{}` ({cell}){others}", config.backbone, config.dataset);
        let hint = match n_exits {
            1 => "one exit gets the whole budget whatever the pattern: hang up more exits, or leave one of the two out",
            _ => "take a steeper slope or a larger budget, or leave one of the two out, there with `[[exclude]]` or everywhere",
        };
        reader.report(axes.pattern.place(pattern), message, Some(hint.to_owned()));
    }
}

/// Two patterns that come to the same branches.
struct Alike {
    first: usize,
    pattern: usize,
    /// Of the later pattern, in the first combination in which they do.
    config: JobConfig,
    n_exits: usize,
    n_cells: usize,
}

/// Whatever else a problem is about, for the end of its message.
fn others(n_others: usize, what: &str) -> String {
    match n_others {
        0 => String::new(),
        1 => format!(" and 1 other {what}"),
        n => format!(" and {n} other {what}s"),
    }
}

fn with_sources(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    causes.fold(error.to_string(), |message, cause| format!("{message}: {cause}"))
}
