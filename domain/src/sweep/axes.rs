//! The grid's axes: the values that every combination is made of, each with its place.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use serde::Serialize;
use toml::Spanned;

use super::reader::{Fields, Reader, Value};
use super::recipe::Tables;
use super::seeds::Seeds;
use super::{training, values};
use crate::job::{Augment, Budget, Clip, Distill, ExitPlacement, ExitWeights, Optimizer, Pattern, Precision, Pretrained, Regime, Schedule};

/// Number of axes.
pub(super) const N_AXES: usize = 23;

/// Every axis, in the order in which jobs are listed: the last varies fastest.
pub(super) const NAMES: [&str; N_AXES] = [
    "backbone",
    "dataset",
    "exits",
    "budget",
    "pattern",
    "regime",
    "distill",
    "exit_weights",
    "gradient_equilibrium",
    "pretrained",
    "epochs",
    "batch_size",
    "optimizer",
    "schedule",
    "augment",
    "cutout",
    "mixup",
    "label_smoothing",
    "clip",
    "decay_norm",
    "ema",
    "precision",
    "seed",
];

/// Positions of the axes that decide on a network.
pub(super) const BACKBONE: usize = 0;
pub(super) const DATASET: usize = 1;
pub(super) const EXITS: usize = 2;
pub(super) const BUDGET: usize = 3;
pub(super) const PATTERN: usize = 4;
/// Positions of those axes that decide on its training and are named here.
pub(super) const REGIME: usize = 5;
const DISTILL: usize = 6;
pub(super) const EXIT_WEIGHTS: usize = 7;
pub(super) const GRADIENT_EQUILIBRIUM: usize = 8;
pub(super) const SCHEDULE: usize = 13;
pub(super) const CUTOUT: usize = 15;
pub(super) const SEED: usize = N_AXES - 1;

/// The axes that mean nothing to a network without side exits, and so to the pattern `none`.
pub(super) const OF_BRANCHES: [usize; 6] = [EXITS, BUDGET, REGIME, DISTILL, EXIT_WEIGHTS, GRADIENT_EQUILIBRIUM];
/// Those of them that are about side exits.
pub(super) const OF_SIDE_EXITS: [usize; 5] = [EXITS, REGIME, DISTILL, EXIT_WEIGHTS, GRADIENT_EQUILIBRIUM];
/// Those of them that are about what branches are built of.
pub(super) const OF_SOLVING: [usize; 2] = [EXITS, BUDGET];

/// A position on every axis.
pub(super) type Cell = [usize; N_AXES];

/// The fields of a recipe.
pub(super) const RECIPE_FIELDS: [&str; 12] = [
    "epochs",
    "batch_size",
    "optimizer",
    "schedule",
    "augment",
    "cutout",
    "mixup",
    "label_smoothing",
    "clip",
    "decay_norm",
    "ema",
    "precision",
];

/// The fields of `[training]`.
pub(super) const TRAINING_FIELDS: [&str; 5] = ["regime", "distill", "exit_weights", "gradient_equilibrium", "pretrained"];

/// The grid.
#[derive(Debug, Clone)]
pub(super) struct Axes {
    pub(super) backbone: Axis<String>,
    pub(super) dataset: Axis<String>,
    pub(super) exits: Axis<ExitPlacement>,
    /// `None` where no pattern needs a budget.
    pub(super) budget: Axis<Option<Budget>>,
    /// `None` is the pattern `none`.
    pub(super) pattern: Axis<Option<Pattern>>,
    pub(super) regime: Axis<Regime>,
    pub(super) distill: Axis<Distill>,
    pub(super) exit_weights: Axis<ExitWeights>,
    pub(super) gradient_equilibrium: Axis<bool>,
    pub(super) pretrained: Axis<Option<Pretrained>>,
    pub(super) epochs: Axis<u32>,
    pub(super) batch_size: Axis<u32>,
    pub(super) optimizer: Axis<Optimizer>,
    pub(super) schedule: Axis<Schedule>,
    pub(super) augment: Axis<Augment>,
    pub(super) cutout: Axis<Option<u32>>,
    pub(super) mixup: Axis<Option<f64>>,
    pub(super) label_smoothing: Axis<f64>,
    pub(super) clip: Axis<Option<Clip>>,
    pub(super) decay_norm: Axis<bool>,
    pub(super) ema: Axis<Option<f64>>,
    pub(super) precision: Axis<Precision>,
    pub(super) seed: Seeds,
}

/// An axis, whatever its values are.
pub(super) trait AnyAxis {
    /// Number of values.
    fn len(&self) -> usize;

    /// A value as the file writes it.
    fn written(&self, reader: &Reader, position: usize) -> String;

    /// Reads one item as a value and finds its positions; none where the axis lacks it, `None` where it is no value.
    fn locate(&self, reader: &mut Reader, item: &Value) -> Option<Vec<Range<usize>>>;
}

/// Reads one value.
pub(super) type ReadOne<T> = fn(&mut Reader, &Value) -> Option<T>;

/// One axis: its values, all different. Values that could not be read, or are there twice, are left out.
#[derive(Debug, Clone)]
pub(super) struct Axis<T> {
    read_one: ReadOne<T>,
    values: Vec<Spanned<T>>,
    /// Positions by canonical JSON, in which the job key sees a value too.
    positions: HashMap<String, usize>,
    /// Where its values are written.
    pub(super) written_in: WrittenIn,
}

/// Where the values of an axis are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WrittenIn {
    /// Nowhere: it has the one value that there is when nothing is said of it.
    Nothing,
    /// In `[recipe]` or `[training]`: it has one value.
    Table,
    /// In `[axes]`.
    Axes,
}

impl<T: Serialize> Axis<T> {
    /// An axis that the file does not mention.
    pub(super) fn unwritten(value: T, place: Range<usize>, read_one: ReadOne<T>) -> Self {
        let positions = HashMap::from([(canonical(&value), 0)]);
        Self { read_one, values: vec![Spanned::new(place, value)], positions, written_in: WrittenIn::Nothing }
    }

    pub(super) fn empty(read_one: ReadOne<T>) -> Self {
        Self { read_one, values: Vec::new(), positions: HashMap::new(), written_in: WrittenIn::Nothing }
    }

    pub(super) fn read(reader: &mut Reader, name: &str, value: &Value, read_one: ReadOne<T>, written_in: WrittenIn) -> Self {
        let mut axis = Self { written_in, ..Self::empty(read_one) };
        for item in items(reader, name, value) {
            let Some(value) = read_one(reader, item) else { continue };
            match axis.positions.entry(canonical(&value)) {
                Entry::Vacant(entry) => {
                    entry.insert(axis.values.len());
                    axis.values.push(Spanned::new(item.span(), value));
                }
                Entry::Occupied(_) => {
                    let message = format!("{} is on the axis `{name}` twice", reader.quote(item.span()));
                    reader.report(item.span(), message, Some("every value makes jobs of its own: leave one out".to_owned()));
                }
            }
        }
        axis
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(super) fn value(&self, position: usize) -> &T {
        self.values[position].get_ref()
    }

    pub(super) fn place(&self, position: usize) -> Range<usize> {
        self.values[position].span()
    }

    /// Where a value stands on the axis.
    pub(super) fn position(&self, value: &T) -> Option<usize> {
        self.positions.get(&canonical(value)).copied()
    }
}

impl<T: Serialize> AnyAxis for Axis<T> {
    fn len(&self) -> usize {
        self.values.len()
    }

    fn written(&self, reader: &Reader, position: usize) -> String {
        reader.extract(self.place(position))
    }

    fn locate(&self, reader: &mut Reader, item: &Value) -> Option<Vec<Range<usize>>> {
        let value = (self.read_one)(reader, item)?;
        Some(self.position(&value).map(|position| position..position + 1).into_iter().collect())
    }
}

/// The values that are written as one value or as an array of them.
pub(super) fn items<'v>(reader: &mut Reader, name: &str, value: &'v Value<'v>) -> &'v [Value<'v>] {
    if value.get_ref().is_array() {
        reader.list(value, name, "a value or an array of at least one").unwrap_or_default()
    } else {
        std::slice::from_ref(value)
    }
}

fn canonical(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("an axis value has only string keys")
}

impl Axes {
    /// Reads the tables `[axes]`, `[training]` and `[recipe]`; `root` is the file, for what is missing as a whole.
    pub(super) fn read(reader: &mut Reader, root: &Fields, has_base: bool) -> Self {
        let axes = root.required(reader, "axes", "[axes]").and_then(|value| Fields::open(reader, value, "`[axes]`", &NAMES));
        let axis = |key: &'static str| axes.as_ref().and_then(|axes| axes.optional(key));
        let place = axes.as_ref().map_or(0..0, |axes| axes.span.clone());
        let backbone = required(reader, axes.as_ref(), "backbone", "backbone = \"resnet20\"", values::backbone);
        let dataset = required(reader, axes.as_ref(), "dataset", "dataset = \"digits\"", values::dataset);
        let pattern = required(reader, axes.as_ref(), "pattern", "pattern = [\"none\", \"constant\"]", values::pattern);
        let budget = match axis("budget") {
            Some(value) => Axis::read(reader, "budget", value, values::budget, WrittenIn::Axes),
            None if pattern.values.iter().all(|pattern| matches!(pattern.get_ref(), None | Some(Pattern::Own))) => {
                Axis::unwritten(None, place.clone(), values::budget)
            }
            None => required(reader, axes.as_ref(), "budget", "budget = 0.25", values::budget),
        };
        let exits = match axis("exits") {
            Some(value) => Axis::read(reader, "exits", value, values::exits, WrittenIn::Axes),
            None => Axis::unwritten(ExitPlacement::StageEnds, place, values::exits),
        };
        let tables = Tables::open(reader, root, axes.as_ref(), has_base);
        Self {
            backbone,
            dataset,
            exits,
            budget,
            pattern,
            regime: tables.training(reader, "regime", Regime::Joint, training::regime),
            distill: tables.training(reader, "distill", Distill::None, training::distill),
            exit_weights: tables.training(reader, "exit_weights", ExitWeights::Equal, training::exit_weights),
            gradient_equilibrium: tables.training(reader, "gradient_equilibrium", false, training::gradient_equilibrium),
            pretrained: tables.training(reader, "pretrained", None, training::pretrained),
            epochs: tables.required(reader, "epochs", "epochs = 100", 1, training::epochs),
            batch_size: tables.required(reader, "batch_size", "batch_size = 128", 1, training::batch_size),
            optimizer: tables.required(reader, "optimizer", "optimizer = { sgd = { lr = 0.1 } }", STAND_IN_OPTIMIZER, training::optimizer),
            schedule: tables.recipe(reader, "schedule", Schedule::Cosine, training::schedule),
            augment: tables.recipe(reader, "augment", Augment::None, training::augment),
            cutout: tables.recipe(reader, "cutout", None, training::cutout),
            mixup: tables.recipe(reader, "mixup", None, training::mixup),
            label_smoothing: tables.recipe(reader, "label_smoothing", 0.0, training::label_smoothing),
            clip: tables.recipe(reader, "clip", None, training::clip),
            decay_norm: tables.recipe(reader, "decay_norm", true, training::decay_norm),
            ema: tables.recipe(reader, "ema", None, training::ema),
            precision: tables.recipe(reader, "precision", Precision::F32, training::precision),
            seed: match axis("seed") {
                Some(value) => Seeds::read(reader, value),
                None => Seeds::zero(),
            },
        }
    }

    /// All axes, in their order.
    pub(super) fn all(&self) -> [&dyn AnyAxis; N_AXES] {
        [
            &self.backbone,
            &self.dataset,
            &self.exits,
            &self.budget,
            &self.pattern,
            &self.regime,
            &self.distill,
            &self.exit_weights,
            &self.gradient_equilibrium,
            &self.pretrained,
            &self.epochs,
            &self.batch_size,
            &self.optimizer,
            &self.schedule,
            &self.augment,
            &self.cutout,
            &self.mixup,
            &self.label_smoothing,
            &self.clip,
            &self.decay_norm,
            &self.ema,
            &self.precision,
            &self.seed,
        ]
    }

    /// Number of values on every axis.
    pub(super) fn lengths(&self) -> Cell {
        self.all().map(AnyAxis::len)
    }
}

fn required<T: Serialize>(reader: &mut Reader, axes: Option<&Fields>, key: &'static str, example: &str, read_one: ReadOne<T>) -> Axis<T> {
    match axes.and_then(|axes| axes.required(reader, key, example)) {
        Some(value) => Axis::read(reader, key, value, read_one, WrittenIn::Axes),
        None => Axis::empty(read_one),
    }
}

const STAND_IN_OPTIMIZER: Optimizer = Optimizer::Sgd { lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.0 };
