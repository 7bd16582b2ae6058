//! The networks of the grid: each solved once, and what cannot be built or compared.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::mem::Discriminant;
use std::ops::Range;
use std::sync::Arc;

use super::axes::{Axes, BACKBONE, BUDGET, Cell, DATASET, EXITS, N_AXES, PATTERN};
use super::cells::Cells;
use super::grid::{Common, config};
use super::reader::Reader;
use crate::job::{JobConfig, Pattern};
use crate::network::{self, Field, Network, NetworkError};

/// Networks that may fail before the rest is left for the next try: a failure looks for the nearest budgets that could be met.
const MAX_FAILURES: usize = 1_000;

/// Solves the networks of the jobs, by their number. What cannot be built is reported at the value at fault.
pub(super) fn solve(reader: &mut Reader, axes: &Axes, common: &Common, cells: &Cells) -> Vec<Option<Arc<Network>>> {
    let mut networks = Networks { axes, common, solved: BTreeMap::new(), failures: Failures::default() };
    let mut by_number = vec![None; cells.numbering.n_networks()];
    let mut latest = None;
    for &number in &cells.numbers {
        let number = cells.canonical(number);
        let position = cells.numbering.network(number);
        if latest.replace(position) == Some(position) || by_number[position].is_some() {
            continue;
        }
        by_number[position] = networks.get(cells.numbering.cell(number));
        if networks.failures.n_networks >= MAX_FAILURES {
            break;
        }
    }
    let groups = networks.groups();
    networks.failures.report(reader, axes, &groups);
    report_alike(reader, axes, common, &groups);
    by_number
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
            let sizes: Vec<(usize, usize, usize)> =
                network.branches.iter().map(|branch| (branch.unit, branch.depth, branch.width)).collect();
            let n_exits = sizes.len();
            let first = *firsts.entry(sizes).or_insert(pattern);
            if first == pattern {
                continue;
            }
            let position = *positions.entry([first, pattern]).or_insert_with(|| {
                let mut cell = [0; N_AXES];
                cell[..=PATTERN].copy_from_slice(&[backbone, dataset, exits, budget, pattern]);
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
