//! How each value of a sweep file is written, and which values make sense.

use std::ops::RangeInclusive;

use super::reader::{Fields, Reader, Value, did_you_mean, one_of, quote, suggest};
use crate::backbone::{self, BackboneError};
use crate::branch;
use crate::dataset::{self, Dataset, Source};
use crate::job::{BranchRule, Budget, ExitPlacement, Pattern, Policy};
use crate::pattern;
use crate::shape::Shape;

/// TOML's integers and the databases' are signed 64-bit ones.
const MAX_SEED: i64 = i64::MAX;
/// Bounds a branch's depth, as layers are listed one by one.
const MAX_LEVELS: i64 = 1_000;
const MAX_BUDGET_MACS: i64 = 1_000_000_000_000;

/// Each pattern's name and how it is written.
const PATTERN_FORMS: [(&str, &str); 12] = [
    ("none", "\"none\""),
    ("constant", "\"constant\""),
    ("increasing", "{ increasing = 0.6 }"),
    ("decreasing", "{ decreasing = 0.6 }"),
    ("list", "{ list = [0.5, 0.3, 0.2] }"),
    ("geometric", "{ geometric = -1.5 }"),
    ("remaining-work", "{ remaining-work = 1 }"),
    ("hump", "{ hump = 1 }"),
    ("single", "{ single = 2 }"),
    ("random", "{ random = 7 }"),
    ("final-only", "\"final-only\""),
    ("own", "\"own\""),
];
/// The patterns that need a number or numbers.
const PATTERN_KEYS: [&str; 8] = ["increasing", "decreasing", "list", "geometric", "remaining-work", "hump", "single", "random"];
/// No backbone has more units.
const MAX_EXITS: i64 = 1_000;
const DATASET_FORMS: &str = "a name such as `\"digits\"`, `{ synthetic = { shape = [3, 32, 32], classes = 10, train = 2000, test = 500 } }` or \
     `{ folder = { name = \"birds\", shape = [3, 64, 64], classes = 17 } }`";
const EXITS_FORMS: &str = "`{ at = \"stage-ends\" }`, `{ at = [0.25, 0.5, 0.75] }`, `{ at = { units = [3, 5, 7] } }` or `{ at = \"own\" }`";
const BUDGET_FORMS: &str = "a share of the backbone's MACs such as `0.25`, `{ levels = 6 }`, `{ macs = 1000000 }`, \
     `{ expected = 0.25, exits = [0.4, 0.3, 0.2, 0.1] }` or `{ param-share = 0.25 }`";

/// A backbone's canonical name.
pub(super) fn backbone(reader: &mut Reader, value: &Value) -> Option<String> {
    let Some(name) = value.get_ref().as_str() else {
        return reader.refuse(value, "backbone", "a name such as `\"resnet20\"`", None);
    };
    let error = match backbone::check_name(name) {
        Ok(()) => return Some(name.to_owned()),
        Err(error) => error,
    };
    let rule = if let BackboneError::NoSuchSize { rule, .. } = error { format!(": {rule}") } else { String::new() };
    reader.report(value.span(), format_args!("no backbone is called {}{rule}", quote(name)), Some(error.hint()));
    None
}

/// A dataset's canonical name, written as that or as a table.
pub(super) fn dataset(reader: &mut Reader, value: &Value) -> Option<String> {
    let parsed = match value.get_ref().as_str() {
        Some(name) => dataset::parse(name),
        None if value.get_ref().as_table().is_none() => return reader.refuse(value, "dataset", DATASET_FORMS, None),
        None => match one_choice(reader, value, "dataset", &["synthetic", "folder"], DATASET_FORMS)? {
            ("synthetic", images) => {
                let fields = Fields::open(reader, images, "`synthetic`", &["shape", "classes", "train", "test"])?;
                let shape = shape_of(reader, &fields);
                let classes = count_of(reader, &fields, "classes", "classes = 10");
                let train = count_of(reader, &fields, "train", "train = 2000");
                let test = count_of(reader, &fields, "test", "test = 500");
                fields.all_known.then_some(())?;
                dataset::synthetic(shape?, classes?, train?, test?)
            }
            (_, images) => {
                let fields = Fields::open(reader, images, "`folder`", &["name", "shape", "classes"])?;
                let name = fields.required(reader, "name", "name = \"birds\"").and_then(|name| match name.get_ref().as_str() {
                    Some(text) => Some(text),
                    None => reader.refuse(name, "name", "the name of a folder in the data folder, such as `\"birds\"`", None),
                });
                let shape = shape_of(reader, &fields);
                let classes = count_of(reader, &fields, "classes", "classes = 17");
                fields.all_known.then_some(())?;
                dataset::folder(name?, shape?, classes?)
            }
        },
    };
    match parsed {
        Ok(Dataset { source: Source::Synthetic { n_train, .. }, n_classes, .. }) if n_train as usize <= n_classes => {
            let message = format!("{n_train} training images of {n_classes} classes leave none to calibrate on");
            let hint = "a class keeps an image to train on: ask for more training images than classes".to_owned();
            reader.report(value.span(), message, Some(hint));
            None
        }
        Ok(dataset) => Some(dataset.name),
        Err(error) => {
            reader.report(value.span(), &error, Some(error.hint()));
            None
        }
    }
}

/// The shape of a dataset's images; its numbers' ranges are the dataset's matter.
fn shape_of(reader: &mut Reader, fields: &Fields) -> Option<Shape> {
    let wanted = "channels, height and width, such as `[3, 32, 32]`";
    let value = fields.required(reader, "shape", "shape = [3, 32, 32]")?;
    let sizes = reader.list(value, "shape", wanted)?;
    let &[channels, height, width] = &sizes else { return reader.refuse(value, "shape", wanted, None) };
    let mut size = |value: &Value| reader.integer(value, "shape", 1..=dataset::MAX_SIDE as i64);
    let sizes = (size(channels), size(height), size(width));
    Some(Shape::new(sizes.0?, sizes.1?, sizes.2?))
}

fn count_of(reader: &mut Reader, fields: &Fields, key: &'static str, example: &str) -> Option<usize> {
    let value = fields.required(reader, key, example)?;
    reader.integer(value, key, 1..=dataset::MAX_IMAGES as i64)
}

/// A branching pattern; the inner `None` is the pattern `none`.
#[expect(clippy::option_option, reason = "the outer one is whether the value could be read, as in every reader here")]
pub(super) fn pattern(reader: &mut Reader, value: &Value) -> Option<Option<Pattern>> {
    match value.get_ref().as_str() {
        Some("none") => return Some(None),
        Some("constant") => return Some(Some(Pattern::Constant)),
        Some("final-only") => return Some(Some(Pattern::FinalOnly)),
        Some("own") => return Some(Some(Pattern::Own)),
        Some(name) => return refuse_pattern_name(reader, value, name),
        None => {}
    }
    let forms = one_of(PATTERN_FORMS.into_iter().map(|(_, form)| form));
    if value.get_ref().as_table().is_none() {
        return reader.refuse(value, "pattern", &forms, None);
    }
    let pattern = match one_choice(reader, value, "pattern", &PATTERN_KEYS, &forms)? {
        ("increasing", slope) => Pattern::Increasing(slope_of(reader, slope)?),
        ("decreasing", slope) => Pattern::Decreasing(slope_of(reader, slope)?),
        ("geometric", log_ratio) => Pattern::Geometric(signed(reader, log_ratio, "geometric", pattern::MAX_LOG_RATIO)?),
        ("remaining-work", power) => Pattern::RemainingWork(signed(reader, power, "remaining-work", pattern::MAX_POWER)?),
        ("hump", curvature) => Pattern::Hump(signed(reader, curvature, "hump", pattern::MAX_CURVATURE)?),
        ("single", exit) => Pattern::Single(reader.integer(exit, "single", 1..=MAX_EXITS)?),
        ("random", seed) => Pattern::Random(reader.integer(seed, "random", 0..=MAX_SEED)?),
        (_, shares) => Pattern::List(shares_of(reader, shares)?),
    };
    Some(Some(pattern))
}

/// A number of either sign up to `most`; at 0 it would be the pattern `constant`.
fn signed(reader: &mut Reader, value: &Value, what: &str, most: f64) -> Option<f64> {
    let wanted = format!("a number from -{most} to {most} other than 0, which is the pattern `constant`");
    reader.number(value, what, &wanted, |number| number != 0.0 && number.abs() <= most)
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
    if at.get_ref().as_table().is_some() {
        let (_, units) = one_choice(reader, at, "at", &["units"], EXITS_FORMS)?;
        return units_of(reader, units);
    }
    if at.get_ref().as_array().is_none() {
        return reader.choice(at, "at", &[("stage-ends", ExitPlacement::StageEnds), ("own", ExitPlacement::Own)]);
    }
    let wanted = "rising fractions of the backbone's MACs, above 0 and below 1";
    let fractions = numbers(reader, at, "at", wanted, |fraction| fraction > 0.0 && fraction < 1.0)?;
    if fractions.is_sorted_by(|a, b| a < b) { Some(ExitPlacement::Fractions(fractions)) } else { reader.refuse(at, "at", wanted, None) }
}

fn units_of(reader: &mut Reader, value: &Value) -> Option<ExitPlacement> {
    let wanted = "rising numbers of units, counted from 0, the stem, such as `[3, 5, 7]`";
    let units: Vec<Option<u32>> =
        reader.list(value, "units", wanted)?.iter().map(|unit| reader.integer(unit, "units", 0..=MAX_EXITS)).collect();
    let units: Vec<u32> = units.into_iter().collect::<Option<_>>()?;
    if units.is_sorted_by(|a, b| a < b) { Some(ExitPlacement::Units(units)) } else { reader.refuse(value, "units", wanted, None) }
}

/// Total branch cost. Never an inner `None`, which stands for a sweep without a budget.
#[expect(clippy::option_option, reason = "the axis holds `None` where a sweep has no budget")]
pub(super) fn budget(reader: &mut Reader, value: &Value) -> Option<Option<Budget>> {
    if value.get_ref().as_table().is_none() {
        let wanted = format!("{BUDGET_FORMS}, above 0 and at most {}", branch::MAX_SHARE);
        let share = reader.number(value, "budget", &wanted, |share| share > 0.0 && share <= branch::MAX_SHARE)?;
        return Some(Some(Budget::Share(share)));
    }
    if value.get_ref().as_table().is_some_and(|table| table.contains_key("expected")) {
        return expected_budget(reader, value).map(Some);
    }
    let budget = match one_choice(reader, value, "budget", &["levels", "macs", "expected", "param-share"], BUDGET_FORMS)? {
        ("levels", levels) => Budget::Levels(reader.integer(levels, "levels", 1..=MAX_LEVELS)?),
        ("param-share", share) => Budget::ParamShare(budget_share(reader, share, "param-share")?),
        (_, macs) => Budget::Macs(reader.integer(macs, "macs", 1..=MAX_BUDGET_MACS)?),
    };
    Some(Some(budget))
}

/// A budget of expected MACs, e.g. `{ expected = 0.25, exits = [0.4, 0.3, 0.2, 0.1] }`.
fn expected_budget(reader: &mut Reader, value: &Value) -> Option<Budget> {
    let fields = Fields::open(reader, value, "`budget`", &["expected", "exits"])?;
    let share = fields.required(reader, "expected", "expected = 0.25").and_then(|share| budget_share(reader, share, "expected"));
    let exits = fields.required(reader, "exits", "exits = [0.4, 0.3, 0.2, 0.1]").and_then(|exits| {
        let wanted = "the part of the inputs that leaves at each exit, the final one last, from 0 to 1";
        let parts = numbers(reader, exits, "exits", wanted, |part| (0.0..=1.0).contains(&part))?;
        match pattern::check_shares(&parts) {
            Ok(()) => Some(parts),
            Err(_) => reader.refuse(exits, "exits", "parts that sum to 1", None),
        }
    });
    fields.all_known.then_some(Budget::Expected { share: share?, exits: exits? })
}

fn budget_share(reader: &mut Reader, value: &Value, what: &str) -> Option<f64> {
    let wanted = format!("a number above 0 and at most {}", branch::MAX_SHARE);
    reader.number(value, what, &wanted, |share| share > 0.0 && share <= branch::MAX_SHARE)
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

/// The rule that makes branches of shares.
pub(super) fn branch_rule(reader: &mut Reader, value: &Value) -> Option<BranchRule> {
    let branch = Fields::open(reader, value, "`[branch]`", &["rule", "depth"])?;
    let depth = branch.optional("depth");
    let rule = match branch.optional("rule") {
        Some(rule) => {
            let width = BranchRule::Width { depth: branch::AUTO_DEPTH };
            reader.choice(
                rule,
                "rule",
                &[("auto", BranchRule::Auto), ("levels", BranchRule::Levels), ("width", width), ("joint", BranchRule::Joint)],
            )
        }
        None => Some(BranchRule::Auto),
    };
    match (rule?, depth) {
        (BranchRule::Width { .. }, Some(depth)) => {
            reader.integer(depth, "depth", 1..=i64::from(branch::MAX_DEPTH)).map(|depth| BranchRule::Width { depth })
        }
        (BranchRule::Auto | BranchRule::Levels | BranchRule::Joint, Some(depth)) => {
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
pub(super) fn one_choice<'v>(
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
pub(super) fn numbers(reader: &mut Reader, value: &Value, what: &str, wanted: &str, is_valid: impl Fn(f64) -> bool) -> Option<Vec<f64>> {
    let items = reader.list(value, what, wanted)?;
    let read: Vec<Option<f64>> = items.iter().map(|item| reader.number(item, what, wanted, &is_valid)).collect();
    read.into_iter().collect()
}
