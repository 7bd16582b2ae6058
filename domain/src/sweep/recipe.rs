//! What `[training]` and `[recipe]` say: each of their fields is a value for all jobs, or an axis. A recipe may begin with a named one, and say
//! otherwise for some backbones and datasets.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Serialize;

use super::SweepJob;
use super::axes::{
    AnyAxis, Axes, Axis, BACKBONE, CUTOUT, Cell, DATASET, EXIT_WEIGHTS, GRADIENT_EQUILIBRIUM, RECIPE_FIELDS, REGIME, ReadOne, SCHEDULE,
    TRAINING_FIELDS, WrittenIn, items,
};
use super::cells::Cells;
use super::grid::Grid;
use super::reader::{Fields, Reader, Value, did_you_mean, one_of, quote, suggest};
use super::selector::tables;
use super::training;
use crate::job::{Augment, Clip, ExitWeights, JobConfig, Optimizer, Precision, Recipe, Regime, Schedule};
use crate::recipes::{self, NamedRecipe};

/// More than anybody writes by hand; every job is held against every one of them.
const MAX_OVERRIDES: usize = 100;

/// Picks for each backbone and dataset the recipe that ships for them.
const SUITED: &str = "suited";

/// The tables that fields of training are in.
pub(super) struct Tables<'r, 'v, 'i> {
    axes: Option<&'r Fields<'v, 'i>>,
    training: Option<Fields<'v, 'i>>,
    recipe: Option<Fields<'v, 'i>>,
    /// Whether a named recipe has what this one lacks.
    has_base: bool,
}

impl<'r, 'v, 'i> Tables<'r, 'v, 'i> {
    pub(super) fn open(reader: &mut Reader, root: &Fields<'v, 'i>, axes: Option<&'r Fields<'v, 'i>>, has_base: bool) -> Self {
        let is_axis = |key: &&str| axes.is_some_and(|axes| axes.optional(key).is_some());
        let value = if has_base || ["epochs", "batch_size", "optimizer"].iter().all(is_axis) {
            root.optional("recipe")
        } else {
            root.required(reader, "recipe", "[recipe]")
        };
        // A name alone is all of a recipe; it is read as its base.
        let value = value.filter(|value| !value.get_ref().is_str());
        let known: Vec<&'static str> = RECIPE_FIELDS.into_iter().chain(["base", "for"]).collect();
        let recipe = value.and_then(|value| Fields::open(reader, value, "`[recipe]`", &known));
        let training = root.optional("training").and_then(|value| Fields::open(reader, value, "`[training]`", &TRAINING_FIELDS));
        Self { axes, training, recipe, has_base }
    }

    /// The axis of a field of `[training]`.
    pub(super) fn training<T: Serialize>(&self, reader: &mut Reader, key: &'static str, default: T, read_one: ReadOne<T>) -> Axis<T> {
        match self.written(reader, self.training.as_ref(), "training", key, read_one) {
            Some(axis) => axis,
            None => Axis::unwritten(default, 0..0, read_one),
        }
    }

    /// The axis of a field of `[recipe]`. What training is like decides on no network, so a broken recipe need not hide what is wrong with the
    /// networks: where nothing could be read, the default stands in. The sweep is refused all the same.
    pub(super) fn recipe<T: Serialize>(&self, reader: &mut Reader, key: &'static str, default: T, read_one: ReadOne<T>) -> Axis<T> {
        match self.written(reader, self.recipe.as_ref(), "recipe", key, read_one) {
            Some(axis) if !axis.is_empty() => axis,
            _ => Axis::unwritten(default, 0..0, read_one),
        }
    }

    /// The axis of a field of `[recipe]` that must be there, unless a named recipe has it; `example` is how to write it, `any` stands in
    /// where nothing could be read.
    pub(super) fn required<T: Serialize>(
        &self,
        reader: &mut Reader,
        key: &'static str,
        example: &str,
        any: T,
        read_one: ReadOne<T>,
    ) -> Axis<T> {
        match self.written(reader, self.recipe.as_ref(), "recipe", key, read_one) {
            Some(axis) if !axis.is_empty() => return axis,
            Some(_) => {}
            None => {
                if let Some(recipe) = self.recipe.as_ref().filter(|_| !self.has_base) {
                    recipe.report_missing(reader, key, example);
                }
            }
        }
        Axis::unwritten(any, 0..0, read_one)
    }

    /// The axis of a field that is written somewhere.
    fn written<T: Serialize>(
        &self,
        reader: &mut Reader,
        table: Option<&Fields<'v, 'i>>,
        table_name: &str,
        key: &'static str,
        read_one: ReadOne<T>,
    ) -> Option<Axis<T>> {
        let on_axis = self.axes.and_then(|axes| axes.optional(key));
        let in_table = table.and_then(|table| table.optional(key));
        if let (Some(_), Some(value)) = (on_axis, in_table) {
            let whose = if table_name == "recipe" { "a part of the recipe".to_owned() } else { format!("in `[{table_name}]`") };
            let hint = format!("keep one: an axis takes the place of the {table_name}'s `{key}`");
            reader.report(value.span(), format_args!("`{key}` is both an axis and {whose}"), Some(hint));
        }
        match (on_axis, in_table) {
            (Some(value), _) => Some(Axis::read(reader, key, value, read_one, WrittenIn::Axes)),
            (None, Some(value)) if value.get_ref().is_array() => {
                let hint = format!("to try several, move `{key}` to [axes]");
                reader.refuse::<T>(value, key, "one value", Some(hint));
                Some(Axis::empty(read_one))
            }
            (None, Some(value)) => Some(Axis::read(reader, key, value, read_one, WrittenIn::Table)),
            (None, None) => None,
        }
    }
}

/// The recipe that another begins with.
#[derive(Debug, Clone)]
pub(super) struct Base {
    place: Range<usize>,
    /// `None` for [`SUITED`].
    named: Option<&'static NamedRecipe>,
}

impl Base {
    /// Reads `recipe = "name"` or `[recipe] base = "name"`.
    pub(super) fn read(reader: &mut Reader, root: &Fields) -> Option<Self> {
        let recipe = root.optional("recipe")?;
        let value = match recipe.get_ref().as_table() {
            Some(table) => table.get("base")?,
            None => recipe,
        };
        let Some(name) = value.get_ref().as_str() else {
            let known = one_of(names());
            return reader.refuse(value, "recipe", format_args!("the name of a recipe ({known}) or the table `[recipe]`"), None);
        };
        let named = recipes::find(name);
        if named.is_none() && name != SUITED {
            let hint = suggest(name, names()).map_or_else(|| format!("there is {}", one_of(names())), did_you_mean);
            reader.report(value.span(), format_args!("no recipe is called {}", quote(name)), Some(hint));
            return None;
        }
        Some(Self { place: value.span(), named })
    }

    /// Whether a file names one, be it known or not.
    pub(super) fn is_named(root: &Fields) -> bool {
        root.optional("recipe").is_some_and(|recipe| match recipe.get_ref().as_table() {
            Some(table) => table.contains_key("base"),
            None => recipe.get_ref().is_str(),
        })
    }

    fn of(&self, backbone: &str, dataset: &str) -> Option<&'static NamedRecipe> {
        self.named.or_else(|| recipes::suited(backbone, dataset))
    }

    /// Reports jobs that no recipe ships for.
    pub(super) fn check(&self, reader: &mut Reader, axes: &Axes, cells: &Cells) {
        if self.named.is_some() {
            return;
        }
        let (n_backbones, n_datasets) = (axes.lengths()[BACKBONE], axes.lengths()[DATASET]);
        let mut is_told = vec![false; n_backbones * n_datasets];
        for &number in &cells.numbers {
            let [backbone, dataset] = [BACKBONE, DATASET].map(|axis| cells.numbering.position(number, axis));
            let (name, set) = (axes.backbone.value(backbone), axes.dataset.value(dataset));
            if std::mem::replace(&mut is_told[backbone * n_datasets + dataset], true) || self.of(name, set).is_some() {
                continue;
            }
            let hint = format!("leave the pair out with `[[exclude]]`, or name a recipe: {}", one_of(names()));
            reader.report(self.place.clone(), format_args!("no recipe ships for `{name}` on `{set}`"), Some(hint));
        }
    }
}

fn names() -> impl Iterator<Item = &'static str> + Clone {
    recipes::RECIPES.iter().map(|recipe| recipe.name).chain([SUITED])
}

/// `[[recipe.for]]`: what is otherwise for some backbones and datasets.
#[derive(Debug, Clone)]
pub(super) struct Override {
    place: Range<usize>,
    /// Positions on the axis; empty where any will do.
    backbones: Vec<usize>,
    datasets: Vec<usize>,
    changes: Vec<Change>,
}

/// A field of a recipe with its value.
#[derive(Debug, Clone)]
enum Change {
    Epochs(u32),
    BatchSize(u32),
    Optimizer(Optimizer),
    Schedule(Schedule),
    Augment(Augment),
    Cutout(Option<u32>),
    Mixup(Option<f64>),
    LabelSmoothing(f64),
    Clip(Option<Clip>),
    DecayNorm(bool),
    Ema(Option<f64>),
    Precision(Precision),
}

impl Change {
    fn make(&self, recipe: &mut Recipe) {
        match self {
            Self::Epochs(epochs) => recipe.epochs = *epochs,
            Self::BatchSize(size) => recipe.batch_size = *size,
            Self::Optimizer(optimizer) => recipe.optimizer = *optimizer,
            Self::Schedule(schedule) => recipe.schedule.clone_from(schedule),
            Self::Augment(augment) => recipe.augment = *augment,
            Self::Cutout(side) => recipe.cutout = *side,
            Self::Mixup(alpha) => recipe.mixup = *alpha,
            Self::LabelSmoothing(share) => recipe.label_smoothing = *share,
            Self::Clip(clip) => recipe.clip = *clip,
            Self::DecayNorm(decays) => recipe.decay_norm = *decays,
            Self::Ema(decay) => recipe.ema = *decay,
            Self::Precision(precision) => recipe.precision = *precision,
        }
    }
}

impl Override {
    /// Reads all of them.
    pub(super) fn read_all(reader: &mut Reader, root: &Fields, axes: &Axes) -> Vec<Self> {
        let recipe = root.optional("recipe").and_then(|recipe| recipe.get_ref().as_table());
        let Some(value) = recipe.and_then(|recipe| recipe.get("for")) else { return Vec::new() };
        let tables = tables(reader, value, "recipe.for", MAX_OVERRIDES);
        tables.iter().filter_map(|table| Self::read(reader, table, axes)).collect()
    }

    fn read(reader: &mut Reader, value: &Value, axes: &Axes) -> Option<Self> {
        let owner = "`[[recipe.for]]`";
        let known: Vec<&'static str> = ["backbone", "dataset"].into_iter().chain(RECIPE_FIELDS).collect();
        let fields = Fields::open(reader, value, owner, &known)?;
        let backbones = picked(reader, &fields, "backbone", &axes.backbone);
        let datasets = picked(reader, &fields, "dataset", &axes.dataset);
        if ["backbone", "dataset"].iter().all(|key| fields.optional(key).is_none()) {
            let hint = "name a `backbone` or a `dataset`; what is for all of them stands in `[recipe]` itself".to_owned();
            reader.report(value.span(), format_args!("{owner} says for no backbone and no dataset"), Some(hint));
        }
        if RECIPE_FIELDS.iter().all(|key| fields.optional(key).is_none()) {
            let hint = format!("it takes {}", one_of(RECIPE_FIELDS.into_iter()));
            reader.report(value.span(), format_args!("{owner} changes nothing"), Some(hint));
        }
        let changes = [
            change(reader, &fields, "epochs", &axes.epochs, training::epochs, Change::Epochs),
            change(reader, &fields, "batch_size", &axes.batch_size, training::batch_size, Change::BatchSize),
            change(reader, &fields, "optimizer", &axes.optimizer, training::optimizer, Change::Optimizer),
            change(reader, &fields, "schedule", &axes.schedule, training::schedule, Change::Schedule),
            change(reader, &fields, "augment", &axes.augment, training::augment, Change::Augment),
            change(reader, &fields, "cutout", &axes.cutout, training::cutout, Change::Cutout),
            change(reader, &fields, "mixup", &axes.mixup, training::mixup, Change::Mixup),
            change(reader, &fields, "label_smoothing", &axes.label_smoothing, training::label_smoothing, Change::LabelSmoothing),
            change(reader, &fields, "clip", &axes.clip, training::clip, Change::Clip),
            change(reader, &fields, "decay_norm", &axes.decay_norm, training::decay_norm, Change::DecayNorm),
            change(reader, &fields, "ema", &axes.ema, training::ema, Change::Ema),
            change(reader, &fields, "precision", &axes.precision, training::precision, Change::Precision),
        ];
        Some(Self { place: value.span(), backbones, datasets, changes: changes.into_iter().flatten().collect() })
    }

    fn is_for(&self, backbone: usize, dataset: usize) -> bool {
        let picks = |positions: &[usize], position| positions.is_empty() || positions.contains(&position);
        picks(&self.backbones, backbone) && picks(&self.datasets, dataset)
    }
}

/// Positions of the backbones or datasets that an override is for.
fn picked(reader: &mut Reader, fields: &Fields, key: &'static str, axis: &Axis<String>) -> Vec<usize> {
    let mut positions = Vec::new();
    for item in fields.optional(key).map_or(&[][..], |value| items(reader, key, value)) {
        let located = axis.locate(reader, item);
        if located.as_ref().is_some_and(Vec::is_empty) {
            let message = format!("{} is not among the values of `{key}`", reader.quote(item.span()));
            reader.report(item.span(), message, Some("leave it out, or put it on the axis".to_owned()));
        }
        positions.extend(located.into_iter().flatten().flatten());
    }
    positions
}

/// A field of an override. One that is an axis has no one value to be overridden.
fn change<T>(
    reader: &mut Reader,
    fields: &Fields,
    key: &'static str,
    axis: &Axis<T>,
    read_one: ReadOne<T>,
    change: fn(T) -> Change,
) -> Option<Change> {
    let value = fields.optional(key)?;
    if axis.written_in == WrittenIn::Axes {
        let hint = "take it off [axes], or leave combinations out with `[[exclude]]`".to_owned();
        reader.report(value.span(), format_args!("`{key}` is an axis, so all backbones and datasets try all its values"), Some(hint));
    }
    read_one(reader, value).map(change)
}

/// The recipe of a combination: what a named one says; over it what `[recipe]` says; over it what is said for this backbone and dataset; over it
/// the axes.
pub(super) fn of_cell(axes: &Axes, base: Option<&Base>, overrides: &[Override], cell: &Cell) -> Recipe {
    let [backbone, dataset] = [cell[BACKBONE], cell[DATASET]];
    let named = base.and_then(|base| base.of(axes.backbone.value(backbone), axes.dataset.value(dataset)));
    let mut recipe = match named {
        Some(named) => named.recipe(),
        None => written(axes, cell, None, WrittenIn::Nothing),
    };
    recipe = written(axes, cell, Some(recipe), WrittenIn::Table);
    for matching in overrides.iter().filter(|matching| matching.is_for(backbone, dataset)) {
        matching.changes.iter().for_each(|change| change.make(&mut recipe));
    }
    written(axes, cell, Some(recipe), WrittenIn::Axes)
}

/// Reports what a job's training and its network do not agree on, and recipes whose parts do not agree: each once, at the value at fault.
pub(super) fn check_jobs(reader: &mut Reader, grid: &Grid) {
    let axes = &grid.axes;
    let mut told = BTreeSet::new();
    let mut index = 0;
    while index < grid.n_jobs() && !reader.is_full() {
        let SweepJob { config, network } = grid.job(index);
        let cell = grid.cells.numbering.cell(grid.cells.numbers[index]);
        index = grid.end_of_run(index);
        let n_exits = network.n_exits();
        if let ExitWeights::List(weights) = &config.exit_weights
            && weights.len() != n_exits
            && told.insert((EXIT_WEIGHTS, cell[EXIT_WEIGHTS]))
        {
            let (n, name, set) = (weights.len(), &config.backbone, &config.dataset);
            let labels = [config.pattern_label(), config.exits_label()].join(", ");
            let message = format!("`exit_weights` lists {n} weights, but `{name}` on `{set}` ({labels}) has {n_exits} exits");
            reader.report(axes.exit_weights.place(cell[EXIT_WEIGHTS]), message, Some("give one an exit, the final one last".to_owned()));
        }
        if config.gradient_equilibrium
            && matches!(config.regime, Regime::Frozen { .. })
            && told.insert((GRADIENT_EQUILIBRIUM, cell[REGIME]))
        {
            let message =
                format!("no gradient reaches a frozen backbone, so `{}` has nothing to bring into equilibrium", config.regime_label());
            let hint = "leave the pair out: `[[exclude]]` with this `regime` and `gradient_equilibrium = true`".to_owned();
            reader.report(axes.regime.place(cell[REGIME]), message, Some(hint));
        }
        if let Schedule::Warmup { epochs: warmup, .. } = config.recipe.schedule
            && let Some(of_what) = what_warm_up_leaves_nothing_of(warmup, &config)
            && told.insert((SCHEDULE, cell[SCHEDULE]))
        {
            let place = place_in_recipe(grid, &cell, &axes.schedule, cell[SCHEDULE], |change| matches!(change, Change::Schedule(_)));
            let epochs = if warmup == 1 { "epoch" } else { "epochs" };
            let message = format!("a warm-up of {warmup} {epochs} leaves nothing of {of_what}");
            reader.report(place, message, Some("train longer, or warm up for less".to_owned()));
        }
        if let Some(side) = config.recipe.cutout
            && side as usize > network.backbone.input.height.min(network.backbone.input.width)
            && told.insert((CUTOUT, cell[CUTOUT]))
        {
            let message =
                format!("a cutout of {side} pixels is larger than the images of `{}` ({})", config.dataset, network.backbone.input);
            let place = place_in_recipe(grid, &cell, &axes.cutout, cell[CUTOUT], |change| matches!(change, Change::Cutout(_)));
            reader.report(place, message, Some("half the side of an image is usual at most".to_owned()));
        }
    }
}

/// The epochs of which a warm-up leaves none: those of the recipe, or those of the backbone alone, which go through the schedule, too.
fn what_warm_up_leaves_nothing_of(warmup: u32, config: &JobConfig) -> Option<String> {
    match config.regime {
        _ if warmup >= config.recipe.epochs => Some(config.recipe.epochs.to_string()),
        Regime::Frozen { backbone_epochs } | Regime::Mixed { backbone_epochs } if warmup >= backbone_epochs => {
            Some(format!("the backbone's own {backbone_epochs}, which go through the schedule, too"))
        }
        Regime::Joint | Regime::Frozen { .. } | Regime::Mixed { .. } => None,
    }
}

/// Where a combination's value of a recipe's field is from: the last table that has it for this backbone and dataset, the axis, or the name of a
/// recipe.
fn place_in_recipe<T: Serialize>(
    grid: &Grid,
    cell: &Cell,
    axis: &Axis<T>,
    position: usize,
    is_of_field: fn(&Change) -> bool,
) -> Range<usize> {
    let has_it = |matching: &&Override| matching.is_for(cell[BACKBONE], cell[DATASET]) && matching.changes.iter().any(is_of_field);
    let overriding = grid.common.overrides.iter().rev().find(has_it).map(|matching| matching.place.clone());
    let named = || grid.common.base.as_ref().filter(|_| axis.written_in == WrittenIn::Nothing).map(|base| base.place.clone());
    overriding.or_else(named).unwrap_or_else(|| axis.place(position))
}

/// A recipe with the fields that are written in a place; all of them where there is no recipe yet.
fn written(axes: &Axes, cell: &Cell, recipe: Option<Recipe>, place: WrittenIn) -> Recipe {
    let &[_, _, _, _, _, _, _, _, _, _, epochs, batch_size, optimizer, schedule, augment, rest @ ..] = cell;
    let [cutout, mixup, label_smoothing, clip, decay_norm, ema, precision, _] = rest;
    let is_new = recipe.is_none();
    let mut recipe = recipe.unwrap_or_else(|| {
        let (epochs, batch_size) = (*axes.epochs.value(epochs), *axes.batch_size.value(batch_size));
        Recipe::new(epochs, batch_size, *axes.optimizer.value(optimizer), Schedule::Cosine, Augment::None)
    });
    let wants = |written_in: WrittenIn| is_new || written_in == place;
    take(&mut recipe.epochs, &axes.epochs, epochs, wants(axes.epochs.written_in));
    take(&mut recipe.batch_size, &axes.batch_size, batch_size, wants(axes.batch_size.written_in));
    take(&mut recipe.optimizer, &axes.optimizer, optimizer, wants(axes.optimizer.written_in));
    take(&mut recipe.schedule, &axes.schedule, schedule, wants(axes.schedule.written_in));
    take(&mut recipe.augment, &axes.augment, augment, wants(axes.augment.written_in));
    take(&mut recipe.cutout, &axes.cutout, cutout, wants(axes.cutout.written_in));
    take(&mut recipe.mixup, &axes.mixup, mixup, wants(axes.mixup.written_in));
    take(&mut recipe.label_smoothing, &axes.label_smoothing, label_smoothing, wants(axes.label_smoothing.written_in));
    take(&mut recipe.clip, &axes.clip, clip, wants(axes.clip.written_in));
    take(&mut recipe.decay_norm, &axes.decay_norm, decay_norm, wants(axes.decay_norm.written_in));
    take(&mut recipe.ema, &axes.ema, ema, wants(axes.ema.written_in));
    take(&mut recipe.precision, &axes.precision, precision, wants(axes.precision.written_in));
    recipe
}

fn take<T: Clone + Serialize>(field: &mut T, axis: &Axis<T>, position: usize, is_wanted: bool) {
    if is_wanted {
        field.clone_from(axis.value(position));
    }
}
