//! How each value of a sweep file is written, and which values make sense.

use std::ops::RangeInclusive;

use super::reader::{Fields, Reader, Value, did_you_mean, one_of, quote, suggest};
use crate::backbone::{self, BackboneError};
use crate::branch;
use crate::dataset;
use crate::job::{Augment, BranchRule, Budget, ExitPlacement, Optimizer, Pattern, Policy, Schedule};
use crate::pattern;
use crate::shape::Shape;

/// Longer training than anybody's, and short enough to catch a slip of the keyboard.
const MAX_EPOCHS: i64 = 10_000;
const MAX_BATCH_SIZE: i64 = 65_536;
/// TOML's integers and the databases' are signed 64-bit ones.
const MAX_SEED: i64 = i64::MAX;
/// Bounds a branch's depth, as layers are listed one by one.
const MAX_LEVELS: i64 = 1_000;
const MAX_BUDGET_MACS: i64 = 1_000_000_000_000;

/// Recipes as in most published training of small residual networks: SGD, momentum 0.9, Nesterov's variant, weight decay 5e-4.
const DEFAULT_MOMENTUM: f64 = 0.9;
const DEFAULT_NESTEROV: bool = true;
const DEFAULT_WEIGHT_DECAY: f64 = 5e-4;

/// Each pattern's name and how it is written.
const PATTERN_FORMS: [(&str, &str); 5] = [
    ("none", "\"none\""),
    ("constant", "\"constant\""),
    ("increasing", "{ increasing = 0.6 }"),
    ("decreasing", "{ decreasing = 0.6 }"),
    ("list", "{ list = [0.5, 0.3, 0.2] }"),
];
const EXITS_FORMS: &str = "`{ at = \"stage-ends\" }` or `{ at = [0.25, 0.5, 0.75] }`";
const BUDGET_FORMS: &str = "a share of the backbone's MACs such as `0.25`, `{ levels = 6 }` or `{ macs = 1000000 }`";
const SCHEDULE_FORMS: &str = "`\"constant\"`, `\"cosine\"` or `{ step = { milestones = [100, 150], gamma = 0.1 } }`";

/// A backbone's canonical name.
pub(super) fn backbone(reader: &mut Reader, value: &Value) -> Option<String> {
    let Some(name) = value.get_ref().as_str() else {
        return reader.refuse(value, "backbone", "a name such as `\"resnet20\"`", None);
    };
    // Any input that every backbone takes will do: whether it takes the dataset's is checked cell by cell.
    match backbone::build(name, Shape::new(3, 32, 32), 10) {
        Ok(backbone) => Some(backbone.name),
        Err(error @ BackboneError::Unknown { .. }) => {
            reader.report(value.span(), format_args!("no backbone is called {}", quote(name)), Some(error.hint()));
            None
        }
        Err(BackboneError::InputTooSmall { .. }) => Some(name.to_owned()),
    }
}

/// A dataset's name.
pub(super) fn dataset(reader: &mut Reader, value: &Value) -> Option<String> {
    let Some(name) = value.get_ref().as_str() else {
        return reader.refuse(value, "dataset", "a name such as `\"digits\"`", None);
    };
    if dataset::find(name).is_none() {
        let known = dataset::DATASETS.iter().map(|dataset| dataset.name);
        let hint = suggest(name, known.clone()).map_or_else(|| format!("there is {}", one_of(known)), did_you_mean);
        reader.report(value.span(), format_args!("no dataset is called {}", quote(name)), Some(hint));
        return None;
    }
    Some(name.to_owned())
}

/// A branching pattern; the inner `None` is the pattern `none`.
#[expect(clippy::option_option, reason = "the outer one is whether the value could be read, as in every reader here")]
pub(super) fn pattern(reader: &mut Reader, value: &Value) -> Option<Option<Pattern>> {
    match value.get_ref().as_str() {
        Some("none") => return Some(None),
        Some("constant") => return Some(Some(Pattern::Constant)),
        Some(name) => return refuse_pattern_name(reader, value, name),
        None => {}
    }
    let forms = one_of(PATTERN_FORMS.into_iter().map(|(_, form)| form));
    if value.get_ref().as_table().is_none() {
        return reader.refuse(value, "pattern", &forms, None);
    }
    match one_choice(reader, value, "pattern", &["increasing", "decreasing", "list"], &forms)? {
        ("increasing", slope) => slope_of(reader, slope).map(|slope| Some(Pattern::Increasing(slope))),
        ("decreasing", slope) => slope_of(reader, slope).map(|slope| Some(Pattern::Decreasing(slope))),
        (_, shares) => shares_of(reader, shares).map(|shares| Some(Pattern::List(shares))),
    }
}

fn refuse_pattern_name<T>(reader: &mut Reader, value: &Value, name: &str) -> Option<T> {
    let form = |name| PATTERN_FORMS.into_iter().find_map(|(known, form)| (known == name).then_some(form));
    if let Some(form) = form(name) {
        reader.report(value.span(), format_args!("pattern {} needs its numbers", quote(name)), Some(format!("write `{form}`")));
        return None;
    }
    let near = suggest(name, PATTERN_FORMS.into_iter().map(|(known, _)| known)).and_then(form);
    let hint = near.map_or_else(|| format!("there is {}", one_of(PATTERN_FORMS.into_iter().map(|(_, form)| form))), did_you_mean);
    reader.report(value.span(), format_args!("no pattern is called {}", quote(name)), Some(hint));
    None
}

fn slope_of(reader: &mut Reader, value: &Value) -> Option<f64> {
    reader.number(value, "slope", "a number above 0 and at most 1", |slope| slope > 0.0 && slope <= 1.0)
}

fn shares_of(reader: &mut Reader, value: &Value) -> Option<Vec<f64>> {
    let wanted = "shares from 0 to 1, one an exit, that sum to 1";
    let shares = numbers(reader, value, "list", wanted, |share| (0.0..=1.0).contains(&share))?;
    if let Err(error) = pattern::check_shares(&shares) {
        reader.report(value.span(), &error, Some(error.hint()));
        return None;
    }
    Some(shares)
}

/// Where exits hang.
pub(super) fn exits(reader: &mut Reader, value: &Value) -> Option<ExitPlacement> {
    if value.get_ref().as_table().is_none() {
        return reader.refuse(value, "exits", EXITS_FORMS, None);
    }
    let (_, at) = one_choice(reader, value, "exits", &["at"], EXITS_FORMS)?;
    if at.get_ref().as_array().is_none() {
        return reader.choice(at, "at", &[("stage-ends", ExitPlacement::StageEnds)]);
    }
    let wanted = "rising fractions of the backbone's MACs, above 0 and below 1";
    let fractions = numbers(reader, at, "at", wanted, |fraction| fraction > 0.0 && fraction < 1.0)?;
    if fractions.is_sorted_by(|a, b| a < b) { Some(ExitPlacement::Fractions(fractions)) } else { reader.refuse(at, "at", wanted, None) }
}

/// Total branch cost. Never an inner `None`, which stands for a sweep without a budget.
#[expect(clippy::option_option, reason = "the axis holds `None` where a sweep has no budget")]
pub(super) fn budget(reader: &mut Reader, value: &Value) -> Option<Option<Budget>> {
    if value.get_ref().as_table().is_none() {
        let wanted = format!("{BUDGET_FORMS}, above 0 and at most {}", branch::MAX_SHARE);
        let share = reader.number(value, "budget", &wanted, |share| share > 0.0 && share <= branch::MAX_SHARE)?;
        return Some(Some(Budget::Share(share)));
    }
    match one_choice(reader, value, "budget", &["levels", "macs"], BUDGET_FORMS)? {
        ("levels", levels) => reader.integer(levels, "levels", 1..=MAX_LEVELS).map(|levels| Some(Budget::Levels(levels))),
        (_, macs) => reader.integer(macs, "macs", 1..=MAX_BUDGET_MACS).map(|macs| Some(Budget::Macs(macs))),
    }
}

pub(super) fn epochs(reader: &mut Reader, value: &Value) -> Option<u32> {
    reader.integer(value, "epochs", 1..=MAX_EPOCHS)
}

pub(super) fn batch_size(reader: &mut Reader, value: &Value) -> Option<u32> {
    reader.integer(value, "batch_size", 1..=MAX_BATCH_SIZE)
}

/// A seed, or a range of them such as `{ from = 0, to = 99 }`, both ends included.
pub(super) fn seeds(reader: &mut Reader, value: &Value) -> Option<RangeInclusive<u64>> {
    if value.get_ref().as_table().is_none() {
        return reader.integer(value, "seed", 0..=MAX_SEED).map(|seed| seed..=seed);
    }
    let range = Fields::open(reader, value, "`seed`", &["from", "to"])?;
    let from = range.required(reader, "from", "from = 0").and_then(|from| reader.integer(from, "from", 0..=MAX_SEED));
    let least = from.map_or(0, u64::cast_signed);
    let to = range.required(reader, "to", "to = 99").and_then(|to| reader.integer(to, "to", least..=MAX_SEED));
    range.all_known.then_some(from?..=to?)
}

pub(super) fn augment(reader: &mut Reader, value: &Value) -> Option<Augment> {
    let choices = [("none", Augment::None), ("crop", Augment::Crop), ("flip", Augment::Flip), ("crop-flip", Augment::CropFlip)];
    reader.choice(value, "augment", &choices)
}

/// An optimiser, e.g. `{ sgd = { lr = 0.1 } }`.
pub(super) fn optimizer(reader: &mut Reader, value: &Value) -> Option<Optimizer> {
    let form = "`{ sgd = { lr = 0.1 } }`";
    if value.get_ref().as_table().is_none() {
        return reader.refuse(value, "optimizer", form, None);
    }
    let (_, sgd) = one_choice(reader, value, "optimizer", &["sgd"], form)?;
    let sgd = Fields::open(reader, sgd, "`sgd`", &["lr", "momentum", "nesterov", "weight_decay"])?;
    let lr = sgd.required(reader, "lr", "lr = 0.1").and_then(|lr| reader.number(lr, "lr", "a number above 0", |lr| lr > 0.0));
    let momentum = sgd.optional("momentum").map_or(Some(DEFAULT_MOMENTUM), |value| {
        reader.number(value, "momentum", "a number from 0 to below 1", |momentum| (0.0..1.0).contains(&momentum))
    });
    let nesterov = sgd.optional("nesterov").map_or(Some(DEFAULT_NESTEROV), |value| reader.boolean(value, "nesterov"));
    let weight_decay = sgd.optional("weight_decay").map_or(Some(DEFAULT_WEIGHT_DECAY), |value| {
        reader.number(value, "weight_decay", "a number from 0 to below 1", |decay| (0.0..1.0).contains(&decay))
    });
    Some(Optimizer::Sgd { lr: lr?, momentum: momentum?, nesterov: nesterov?, weight_decay: weight_decay? })
}

/// A learning-rate schedule.
pub(super) fn schedule(reader: &mut Reader, value: &Value) -> Option<Schedule> {
    if value.get_ref().is_str() {
        return match value.get_ref().as_str() {
            Some("step") => reader.refuse(value, "schedule", SCHEDULE_FORMS, None),
            _ => reader.choice(value, "schedule", &[("constant", Schedule::Constant), ("cosine", Schedule::Cosine)]),
        };
    }
    if value.get_ref().as_table().is_none() {
        return reader.refuse(value, "schedule", SCHEDULE_FORMS, None);
    }
    let (_, step) = one_choice(reader, value, "schedule", &["step"], SCHEDULE_FORMS)?;
    let step = Fields::open(reader, step, "`step`", &["milestones", "gamma"])?;
    let milestones = step.required(reader, "milestones", "milestones = [100, 150]").and_then(|value| milestones(reader, value));
    let gamma = step
        .required(reader, "gamma", "gamma = 0.1")
        .and_then(|gamma| reader.number(gamma, "gamma", "a number above 0 and at most 1", |gamma| gamma > 0.0 && gamma <= 1.0));
    Some(Schedule::Step { milestones: milestones?, gamma: gamma? })
}

fn milestones(reader: &mut Reader, value: &Value) -> Option<Vec<u32>> {
    let wanted = "rising epochs, counted from 0, such as `[100, 150]`";
    let epochs = reader.list(value, "milestones", wanted)?;
    let epochs: Vec<Option<u32>> = epochs.iter().map(|epoch| reader.integer(epoch, "milestones", 1..=MAX_EPOCHS)).collect();
    let epochs: Vec<u32> = epochs.into_iter().collect::<Option<_>>()?;
    if epochs.is_sorted_by(|a, b| a < b) { Some(epochs) } else { reader.refuse(value, "milestones", wanted, None) }
}

/// The rule that makes branches of shares.
pub(super) fn branch_rule(reader: &mut Reader, value: &Value) -> Option<BranchRule> {
    let branch = Fields::open(reader, value, "`[branch]`", &["rule", "depth"])?;
    let depth = branch.optional("depth");
    let rule = match branch.optional("rule") {
        Some(rule) => {
            let width = BranchRule::Width { depth: branch::AUTO_DEPTH };
            reader.choice(rule, "rule", &[("auto", BranchRule::Auto), ("levels", BranchRule::Levels), ("width", width)])
        }
        None => Some(BranchRule::Auto),
    };
    match (rule?, depth) {
        (BranchRule::Width { .. }, Some(depth)) => {
            reader.integer(depth, "depth", 1..=i64::from(branch::MAX_DEPTH)).map(|depth| BranchRule::Width { depth })
        }
        (BranchRule::Auto | BranchRule::Levels, Some(depth)) => {
            let hint = "write `rule = \"width\"`, or leave `depth` out".to_owned();
            reader.report(depth.span(), "`depth` goes with the rule `width` alone", Some(hint));
            None
        }
        (rule, None) => Some(rule),
    }
}

pub(super) fn calibration(reader: &mut Reader, value: &Value) -> Option<f64> {
    reader.number(value, "calibration", "a share above 0 and at most 0.5", |share| share > 0.0 && share <= 0.5)
}

pub(super) fn policy(reader: &mut Reader, value: &Value) -> Option<Policy> {
    reader.choice(value, "policies", &Policy::ALL.map(|policy| (policy.as_str(), policy)))
}

/// The pair of a table that stands for one of several choices.
fn one_choice<'v>(
    reader: &mut Reader,
    value: &'v Value,
    what: &str,
    known: &[&'static str],
    forms: &str,
) -> Option<(&'v str, &'v Value<'v>)> {
    let fields = Fields::open(reader, value, format!("`{what}`"), known)?;
    if !fields.all_known {
        return None;
    }
    match fields.single() {
        Some(pair) => Some(pair),
        None => reader.refuse(value, what, forms, None),
    }
}

/// A list of numbers that are all `valid`.
fn numbers(reader: &mut Reader, value: &Value, what: &str, wanted: &str, is_valid: impl Fn(f64) -> bool) -> Option<Vec<f64>> {
    let items = reader.list(value, what, wanted)?;
    let read: Vec<Option<f64>> = items.iter().map(|item| reader.number(item, what, wanted, &is_valid)).collect();
    read.into_iter().collect()
}
