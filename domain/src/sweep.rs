//! Sweep files: parse, check, count, expand.
//!
//! A sweep file is TOML. `[axes]` spans a grid of which every combination is a job, `[recipe]`, `[branch]` and `[evaluation]` say what all jobs
//! share, and `[[exclude]]` leaves combinations out. Whatever is wrong is found in one pass, each problem with its place.
//!
//! Axes and their order, the last varying fastest: backbone, dataset, exits, budget, pattern, epochs, batch size, optimizer,
//! schedule, augment, seed.

mod axes;
mod exclude;
mod grid;
mod reader;
mod syntax;
mod values;

use std::sync::Arc;

use self::axes::Axes;
use self::grid::Common;
use self::reader::{Fields, Reader, Value};
use crate::job::{BranchRule, Evaluation, JobConfig, Policy, half_sha256};
use crate::network::Network;
use crate::problem::{Problem, printable};

/// A checked sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// Its name.
    pub name: String,
    /// Its jobs, in the order of the axes (the last axis varies fastest), each once.
    pub jobs: Vec<SweepJob>,
}

/// A job of a sweep, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepJob {
    /// The canonical configuration.
    pub config: JobConfig,
    /// The network it trains; jobs that differ in training alone share it.
    pub network: Arc<Network>,
}

/// Longest sweep file, bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Longest name of a sweep, characters.
pub const MAX_NAME_CHARS: usize = 64;

/// Share of the training set that thresholds are chosen on, unless the file says otherwise.
const DEFAULT_CALIBRATION: f64 = 0.1;

impl Sweep {
    /// The sweep's key: 32 hexadecimal digits (the first half of a SHA-256) of the name and the job keys in order, a line each. Two files
    /// that say the same in different words have the same key.
    pub fn key(&self) -> String {
        let keys: Vec<String> = self.jobs.iter().map(|job| job.config.key().as_str().to_owned()).collect();
        half_sha256(&format!("{}\n{}\n", self.name, keys.join("\n")))
    }
}

/// Reads a sweep file.
///
/// # Errors
/// All problems of the file at once, in the order of their places. Where the text is not TOML to a degree that the rest cannot be relied on,
/// the syntax errors alone; past a hundred, the first hundred and their number.
pub fn parse(text: &str) -> Result<Sweep, Vec<Problem>> {
    let mut reader = Reader::new(text);
    if text.len() > MAX_BYTES {
        reader.report(
            0..0,
            format_args!("the file has {} bytes, more than the {MAX_BYTES} allowed", text.len()),
            Some("split the sweep".to_owned()),
        );
        return Err(reader.into_problems());
    }
    let parsed = syntax::read(text);
    let sweep = if parsed.intact { check(&mut reader, &parsed.root) } else { None };
    reader.retain(|problem| !parsed.problems.iter().any(|error| syntax::share_a_line(text, &problem.span, &error.span)));
    for error in parsed.problems {
        reader.report(error.span, error.message, error.hint);
    }
    match sweep {
        Some(sweep) if !reader.has_problems() => Ok(sweep),
        _ => Err(reader.into_problems()),
    }
}

/// Checks a whole file and expands it as far as it can be understood. What comes back counts only if no problem was reported.
fn check(reader: &mut Reader, root: &Value) -> Option<Sweep> {
    let known = ["name", "axes", "branch", "recipe", "evaluation", "exclude"];
    let root = Fields::open(reader, root, "the sweep file", &known)?;
    let name = root.required(reader, "name", "name = \"my-sweep\"").and_then(|value| name(reader, value));
    let axes = Axes::read(reader, &root);
    let axes_place = root.optional("axes").map_or(0..0, Value::span);
    let excludes = root.optional("exclude").map(|value| exclude::read(reader, value, &axes)).unwrap_or_default();
    let branch = root.optional("branch");
    let rule = branch.map_or(Some(BranchRule::Auto), |value| values::branch_rule(reader, value));
    let evaluation = evaluation(reader, root.optional("evaluation"));
    let rule_place = branch.map_or_else(|| axes_place.clone(), Value::span);
    let jobs = grid::expand(reader, &axes, &excludes, &Common { rule: rule?, rule_place, evaluation }, &axes_place);
    Some(Sweep { name: name?, jobs })
}

/// A name that can be told from other selectors and printed as it is.
fn name(reader: &mut Reader, value: &Value) -> Option<String> {
    let wanted = format!("1 to {MAX_NAME_CHARS} printable characters");
    let name = match value.get_ref().as_str() {
        Some(name) if (1..=MAX_NAME_CHARS).contains(&name.chars().count()) && name.trim() == name && printable(name) == name => name,
        _ => return reader.refuse(value, "name", wanted, None),
    };
    if name == "last" || name.bytes().all(|byte| byte.is_ascii_digit()) {
        let hint = "commands take `last` for the newest sweep, and a number for a sweep's id".to_owned();
        return reader.refuse(value, "name", "neither `last` nor a number", Some(hint));
    }
    Some(name.to_owned())
}

fn evaluation(reader: &mut Reader, value: Option<&Value>) -> Evaluation {
    let fields = value.and_then(|value| Fields::open(reader, value, "`[evaluation]`", &["policies", "calibration"]));
    let field = |key| fields.as_ref().and_then(|fields| fields.optional(key));
    let calibration = field("calibration").and_then(|value| values::calibration(reader, value)).unwrap_or(DEFAULT_CALIBRATION);
    let policies = match field("policies") {
        Some(value) => policies(reader, value),
        None => vec![Policy::MaxSoftmax],
    };
    Evaluation { calibration, policies }
}

fn policies(reader: &mut Reader, value: &Value) -> Vec<Policy> {
    let mut policies = Vec::new();
    for item in reader.list(value, "policies", "an array of at least one policy").unwrap_or_default() {
        let Some(policy) = values::policy(reader, item) else { continue };
        if policies.contains(&policy) {
            reader.report(item.span(), format_args!("{} is listed twice", reader.quote(item.span())), Some("leave one out".to_owned()));
        }
        policies.push(policy);
    }
    policies
}

#[cfg(test)]
mod tests;
