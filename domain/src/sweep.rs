//! Sweep files: parse, check, count, expand.
//!
//! A sweep file is TOML. `[axes]` spans a grid of which every combination is a job, `[training]`, `[recipe]`, `[branch]` and `[evaluation]` say what all jobs
//! share, and `[[exclude]]` leaves combinations out. `priority`, `max_failed_jobs`, `[requirements]` and `[[after]]` say when and where the jobs
//! run, and `reuse = false` keeps them from being shared with other sweeps. Whatever is wrong is found in one pass, each problem with its
//! place.
//!
//! Axes and their order, the last varying fastest: backbone, dataset, exits, budget, pattern; regime, distillation, exit weights, gradient
//! equilibrium, pretrained weights; epochs, batch size, optimizer, schedule, augment, cutout, mixup, label smoothing, clip, decay of norms,
//! moving average, precision; seed.

mod after;
mod axes;
mod cells;
mod cycle;
mod difference;
mod exclude;
mod grid;
mod networks;
mod reader;
mod recipe;
mod scheduling;
mod seeds;
mod selector;
mod syntax;
mod training;
mod values;

use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use self::axes::Axes;
use self::cells::Cells;
pub use self::difference::{Difference, UnreadableFile, differences};
use self::grid::{Common, Grid};
use self::reader::{Fields, Reader, Value};
use self::recipe::{Base, Override};
use self::scheduling::Needs;
pub use self::scheduling::{PRIORITIES, Scheduling};
use crate::job::{BranchRule, CellJson, Evaluation, JobConfig, JobKey, Policy, half_of};
use crate::network::Network;
use crate::placement::Requirements;
use crate::problem::{Problem, printable};

/// A checked sweep. Of each job it holds its key and a number: configurations are made when they are asked for.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// Its name.
    pub name: String,
    /// How its jobs are queued.
    pub scheduling: Scheduling,
    needs: Needs,
    grid: Grid,
    keys: Vec<JobKey>,
    /// Sorted, each once.
    dependencies: Vec<after::Dependency>,
}

/// A job of a sweep, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepJob {
    /// The canonical configuration.
    pub config: JobConfig,
    /// The network it trains; jobs that differ in training alone share it.
    pub network: Arc<Network>,
}

/// Jobs of a sweep that stand one after another and differ in nothing but the seed.
#[derive(Debug, Clone)]
pub struct Run {
    /// Their indexes.
    pub jobs: Range<usize>,
    /// The first of them.
    pub first: SweepJob,
    /// Their canonical JSON but for the seed.
    pub json: CellJson,
}

/// Longest sweep file, bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Longest name of a sweep, characters.
pub const MAX_NAME_CHARS: usize = 64;

/// Share of the training set that thresholds are chosen on, unless the file says otherwise.
const DEFAULT_CALIBRATION: f64 = 0.1;

impl Sweep {
    fn new(name: String, scheduling: Scheduling, needs: Needs, grid: Grid, dependencies: Vec<after::Dependency>) -> Self {
        let mut sweep = Self { name, scheduling, needs, grid, keys: Vec::new(), dependencies };
        let mut keys = Vec::with_capacity(sweep.n_jobs());
        for run in sweep.runs() {
            keys.extend(run.jobs.map(|index| run.json.key(sweep.seed(index))));
        }
        sweep.keys = keys;
        sweep
    }

    /// Number of its jobs, at least 1.
    pub fn n_jobs(&self) -> usize {
        self.grid.n_jobs()
    }

    /// Its jobs, in the order of the axes (the last axis varies fastest), each once.
    pub fn jobs(&self) -> impl DoubleEndedIterator<Item = SweepJob> + ExactSizeIterator + '_ {
        (0..self.n_jobs()).map(|index| self.job(index))
    }

    /// The job with this index, which is below [`Self::n_jobs`].
    pub fn job(&self, index: usize) -> SweepJob {
        self.grid.job(index)
    }

    /// The seed of a job, without making the rest of it.
    pub fn seed(&self, index: usize) -> u64 {
        self.grid.seed(index)
    }

    /// The keys of its jobs, in their order.
    pub fn keys(&self) -> &[JobKey] {
        &self.keys
    }

    /// Its jobs in runs that differ in nothing but the seed, so that what they share is worked out once a run. All jobs are in one run each,
    /// in their order.
    pub fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        let mut start = 0;
        std::iter::from_fn(move || {
            if start == self.n_jobs() {
                return None;
            }
            let jobs = start..self.grid.end_of_run(start);
            start = jobs.end;
            let first = self.job(jobs.start);
            Some(Run { json: CellJson::new(&first.config), jobs, first })
        })
    }

    /// What a slot must offer to run a job of the sweep.
    pub fn requirements(&self, job: &JobConfig) -> Requirements {
        let Needs { device, memory_mib, labels } = &self.needs;
        Requirements { device: *device, memory_mib: *memory_mib, dataset: job.dataset.clone(), labels: labels.clone() }
    }

    /// Who waits for whom: the index of a job and that of one that it waits for, sorted, each pair once. No job waits for itself, by way of
    /// others neither.
    pub fn dependencies(&self) -> impl ExactSizeIterator<Item = (usize, usize)> + '_ {
        self.dependencies.iter().map(|&(job, waits_for)| (job as usize, waits_for as usize))
    }

    /// The sweep's key: 32 hexadecimal digits (the first half of a SHA-256) of the name and the job keys in order, a line each, and of a
    /// line for everything else that is not as it is when nothing is said of it. Two files that say the same in different words have the
    /// same key.
    pub fn key(&self) -> String {
        let Self { name, scheduling: Scheduling { priority, max_failed_jobs }, needs: Needs { device, memory_mib, labels }, .. } = self;
        let mut hash = Sha256::new();
        let mut line = |text: &str| {
            hash.update(text);
            hash.update("\n");
        };
        line(name);
        for key in &self.keys {
            line(key.as_str());
        }
        // A name of each begins its line, and no key looks like one.
        if *priority != 0 {
            line(&format!("priority {priority}"));
        }
        if let Some(max_failed_jobs) = max_failed_jobs {
            line(&format!("max_failed_jobs {max_failed_jobs}"));
        }
        if let Some(device) = device {
            line(&format!("device {}", device.as_str()));
        }
        if *memory_mib > 0 {
            line(&format!("memory_mib {memory_mib}"));
        }
        for label in labels {
            line(&format!("label {label}"));
        }
        for (job, waits_for) in &self.dependencies {
            line(&format!("after {job} {waits_for}"));
        }
        String::from_utf8(half_of(hash).to_vec()).expect("hexadecimal digits are ASCII")
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
    let known = [
        "name",
        "priority",
        "max_failed_jobs",
        "reuse",
        "axes",
        "branch",
        "training",
        "recipe",
        "evaluation",
        "requirements",
        "exclude",
        "after",
    ];
    let root = Fields::open(reader, root, "the sweep file", &known)?;
    let name = root.required(reader, "name", "name = \"my-sweep\"").and_then(|value| name(reader, value));
    let scheduling = scheduling::read(reader, &root);
    let reuse = root.optional("reuse").and_then(|value| reader.boolean(value, "reuse")).unwrap_or(true);
    let needs = root.optional("requirements").map(|value| scheduling::needs(reader, value)).unwrap_or_default();
    let base = Base::read(reader, &root);
    let names_a_base = Base::is_named(&root);
    let axes = Axes::read(reader, &root, names_a_base);
    let overrides = Override::read_all(reader, &root, &axes);
    let axes_place = root.optional("axes").map_or(0..0, Value::span);
    let excludes = root.optional("exclude").map(|value| exclude::read(reader, value, &axes)).unwrap_or_default();
    let afters = root.optional("after").map(|value| after::read(reader, value, &axes)).unwrap_or_default();
    let branch = root.optional("branch");
    let rule = branch.map_or(Some(BranchRule::Auto), |value| values::branch_rule(reader, value));
    let evaluation = evaluation(reader, root.optional("evaluation"));
    let rule_place = branch.map_or_else(|| axes_place.clone(), Value::span);
    let cells = Cells::list(reader, &axes, &excludes, &axes_place)?;
    // Who waits for whom can be told of the jobs that are meant alone; whether their networks can be built is another matter.
    let dependencies = if reader.has_problems() { Vec::new() } else { after::dependencies(reader, &afters, &axes, &cells) };
    let private_to = name.clone().filter(|_| !reuse);
    if let Some(base) = &base {
        base.check(reader, &axes, &cells);
    }
    let common = Common { rule: rule?, rule_place, evaluation, base, overrides, private_to };
    let networks = networks::solve(reader, &axes, &common, &cells);
    if reader.has_problems() {
        return None;
    }
    let grid = Grid { axes, common, cells, networks };
    recipe::check_jobs(reader, &grid);
    Some(Sweep::new(name?, scheduling, needs, grid, dependencies))
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
    let fields = value.and_then(|value| Fields::open(reader, value, "`[evaluation]`", &["policies", "calibration", "latency"]));
    let field = |key| fields.as_ref().and_then(|fields| fields.optional(key));
    let calibration = field("calibration").and_then(|value| values::calibration(reader, value)).unwrap_or(DEFAULT_CALIBRATION);
    let policies = match field("policies") {
        Some(value) => policies(reader, value),
        None => vec![Policy::MaxSoftmax],
    };
    let latency = field("latency").and_then(|value| reader.boolean(value, "latency")).unwrap_or(false);
    Evaluation { calibration, policies, latency }
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
