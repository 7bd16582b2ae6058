//! The grid's axes: the values that every combination is made of, each with its place.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use serde::Serialize;
use toml::Spanned;

use super::reader::{Fields, Reader, Value};
use super::seeds::Seeds;
use super::values;
use crate::job::{Augment, Budget, ExitPlacement, Optimizer, Pattern, Schedule};

/// Number of axes.
pub(super) const N_AXES: usize = 11;

/// Every axis, in the order in which jobs are listed: the last varies fastest.
pub(super) const NAMES: [&str; N_AXES] =
    ["backbone", "dataset", "exits", "budget", "pattern", "epochs", "batch_size", "optimizer", "schedule", "augment", "seed"];

/// Positions of the axes that decide on a network.
pub(super) const BACKBONE: usize = 0;
pub(super) const DATASET: usize = 1;
pub(super) const EXITS: usize = 2;
pub(super) const BUDGET: usize = 3;
pub(super) const PATTERN: usize = 4;
/// Positions of the axes that decide on its training.
pub(super) const EPOCHS: usize = 5;
pub(super) const BATCH_SIZE: usize = 6;
pub(super) const OPTIMIZER: usize = 7;
pub(super) const SCHEDULE: usize = 8;
pub(super) const AUGMENT: usize = 9;
pub(super) const SEED: usize = 10;

/// A position on every axis.
pub(super) type Cell = [usize; N_AXES];

/// The fields of a recipe.
pub(super) const RECIPE_FIELDS: [&str; 5] = ["epochs", "batch_size", "optimizer", "schedule", "augment"];

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
    pub(super) epochs: Axis<u32>,
    pub(super) batch_size: Axis<u32>,
    pub(super) optimizer: Axis<Optimizer>,
    pub(super) schedule: Axis<Schedule>,
    pub(super) augment: Axis<Augment>,
    pub(super) seed: Seeds,
}

/// One axis: its values, all different. Values that could not be read, or are there twice, are left out.
#[derive(Debug, Clone)]
pub(super) struct Axis<T> {
    values: Vec<Spanned<T>>,
    /// Positions by canonical JSON, in which the job key sees a value too.
    positions: HashMap<String, usize>,
}

impl<T: Serialize> Axis<T> {
    /// An axis that the file does not mention.
    fn unwritten(value: T, place: Range<usize>) -> Self {
        let positions = HashMap::from([(canonical(&value), 0)]);
        Self { values: vec![Spanned::new(place, value)], positions }
    }

    fn empty() -> Self {
        Self { values: Vec::new(), positions: HashMap::new() }
    }

    fn read(reader: &mut Reader, name: &str, value: &Value, read_one: impl Fn(&mut Reader, &Value) -> Option<T>) -> Self {
        let mut axis = Self::empty();
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

    pub(super) fn len(&self) -> usize {
        self.values.len()
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
    /// Reads the tables `[axes]` and `[recipe]`; `root` is the file, for what is missing as a whole.
    pub(super) fn read(reader: &mut Reader, root: &Fields) -> Self {
        let axes = root.required(reader, "axes", "[axes]").and_then(|value| Fields::open(reader, value, "`[axes]`", &NAMES));
        let axis = |key: &'static str| axes.as_ref().and_then(|axes| axes.optional(key));
        let place = axes.as_ref().map_or(0..0, |axes| axes.span.clone());
        let backbone = required(reader, axes.as_ref(), "backbone", "backbone = \"resnet20\"", values::backbone);
        let dataset = required(reader, axes.as_ref(), "dataset", "dataset = \"digits\"", values::dataset);
        let pattern = required(reader, axes.as_ref(), "pattern", "pattern = [\"none\", \"constant\"]", values::pattern);
        let budget = match axis("budget") {
            Some(value) => Axis::read(reader, "budget", value, values::budget),
            None if pattern.values.iter().all(|pattern| pattern.get_ref().is_none()) => Axis::unwritten(None, place.clone()),
            None => required(reader, axes.as_ref(), "budget", "budget = 0.25", values::budget),
        };
        let recipe = RecipeReader::open(reader, root, axes.as_ref());
        Self {
            backbone,
            dataset,
            exits: match axis("exits") {
                Some(value) => Axis::read(reader, "exits", value, values::exits),
                None => Axis::unwritten(ExitPlacement::StageEnds, place),
            },
            budget,
            pattern,
            epochs: recipe.axis(reader, "epochs", Err("epochs = 100"), 1, values::epochs),
            batch_size: recipe.axis(reader, "batch_size", Err("batch_size = 128"), 1, values::batch_size),
            optimizer: recipe.axis(reader, "optimizer", Err("optimizer = { sgd = { lr = 0.1 } }"), STAND_IN_OPTIMIZER, values::optimizer),
            schedule: recipe.axis(reader, "schedule", Ok(Schedule::Cosine), Schedule::Cosine, values::schedule),
            augment: recipe.axis(reader, "augment", Ok(Augment::None), Augment::None, values::augment),
            seed: match axis("seed") {
                Some(value) => Seeds::read(reader, value),
                None => Seeds::zero(),
            },
        }
    }

    /// A value as the file writes it.
    pub(super) fn written(&self, reader: &Reader, axis: usize, position: usize) -> String {
        let place = match axis {
            BACKBONE => self.backbone.place(position),
            DATASET => self.dataset.place(position),
            EXITS => self.exits.place(position),
            BUDGET => self.budget.place(position),
            PATTERN => self.pattern.place(position),
            EPOCHS => self.epochs.place(position),
            BATCH_SIZE => self.batch_size.place(position),
            OPTIMIZER => self.optimizer.place(position),
            SCHEDULE => self.schedule.place(position),
            AUGMENT => self.augment.place(position),
            _ => return self.seed.value(position).to_string(),
        };
        reader.extract(place)
    }

    /// Number of values on every axis.
    pub(super) fn lengths(&self) -> Cell {
        [
            self.backbone.len(),
            self.dataset.len(),
            self.exits.len(),
            self.budget.len(),
            self.pattern.len(),
            self.epochs.len(),
            self.batch_size.len(),
            self.optimizer.len(),
            self.schedule.len(),
            self.augment.len(),
            self.seed.len(),
        ]
    }
}

fn required<T: Serialize>(
    reader: &mut Reader,
    axes: Option<&Fields>,
    key: &'static str,
    example: &str,
    read_one: impl Fn(&mut Reader, &Value) -> Option<T>,
) -> Axis<T> {
    match axes.and_then(|axes| axes.required(reader, key, example)) {
        Some(value) => Axis::read(reader, key, value, read_one),
        None => Axis::empty(),
    }
}

/// What training is like decides on no network, so a broken recipe need not hide what is wrong with the networks: where nothing could be
/// read, any value stands in. The sweep is refused all the same.
fn stand_in<T: Serialize>(axis: Axis<T>, value: T) -> Axis<T> {
    if axis.is_empty() { Axis::unwritten(value, 0..0) } else { axis }
}

const STAND_IN_OPTIMIZER: Optimizer = Optimizer::Sgd { lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.0 };

/// Reads the fields of a recipe, each of which is a value in `[recipe]` or an axis.
struct RecipeReader<'r, 'v, 'i> {
    axes: Option<&'r Fields<'v, 'i>>,
    recipe: Option<Fields<'v, 'i>>,
}

impl<'r, 'v, 'i> RecipeReader<'r, 'v, 'i> {
    fn open(reader: &mut Reader, root: &Fields<'v, 'i>, axes: Option<&'r Fields<'v, 'i>>) -> Self {
        let is_axis = |key: &&str| axes.is_some_and(|axes| axes.optional(key).is_some());
        let value = if ["epochs", "batch_size", "optimizer"].iter().all(is_axis) {
            root.optional("recipe")
        } else {
            root.required(reader, "recipe", "[recipe]")
        };
        let recipe = value.and_then(|value| Fields::open(reader, value, "`[recipe]`", &RECIPE_FIELDS));
        Self { axes, recipe }
    }

    /// One field's axis. Where it is nowhere: the default, or the example of how to write what is missing.
    fn axis<T: Serialize>(
        &self,
        reader: &mut Reader,
        key: &'static str,
        default: Result<T, &str>,
        any: T,
        read_one: impl Fn(&mut Reader, &Value) -> Option<T>,
    ) -> Axis<T> {
        let on_axis = self.axes.and_then(|axes| axes.optional(key));
        let in_recipe = self.recipe.as_ref().and_then(|recipe| recipe.optional(key));
        if let (Some(_), Some(value)) = (on_axis, in_recipe) {
            let hint = format!("keep one: an axis takes the place of the recipe's `{key}`");
            reader.report(value.span(), format_args!("`{key}` is both an axis and a part of the recipe"), Some(hint));
        }
        let axis = match (on_axis.or(in_recipe), default) {
            (Some(value), _) if on_axis.is_none() && value.get_ref().is_array() => {
                let hint = format!("to try several, move `{key}` to [axes]");
                reader.refuse::<T>(value, key, "one value", Some(hint));
                Axis::empty()
            }
            (Some(value), _) => Axis::read(reader, key, value, read_one),
            (None, Ok(default)) => Axis::unwritten(default, 0..0),
            (None, Err(example)) => {
                if let Some(recipe) = &self.recipe {
                    recipe.report_missing(reader, key, example);
                }
                Axis::empty()
            }
        };
        stand_in(axis, any)
    }
}
