//! `offramp plan`.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use offramp_domain::job::{Budget, JobConfig};
use offramp_domain::layer::Layer;
use offramp_domain::network::Network;
use offramp_domain::sweep::Sweep;
use offramp_figures::shares::{Group, Pattern, Shares};
use offramp_figures::{Figure, Look, Size, Theme};
use serde::Serialize;

use crate::args::PlanArguments;
use crate::commands::read_sweep_file;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Format, Rows, csv, json, table, view};
use crate::text::{count, escape_control, macs, percent, signed_percent};

/// Shows the networks of a sweep file.
pub(crate) fn run(arguments: &PlanArguments, format: Format) -> Result<Exit, Failure> {
    let file = read_sweep_file(&arguments.file)?;
    let planned = networks(&file.sweep);
    if let Some(path) = &arguments.svg {
        let write = std::fs::write(path, offramp_figures::svg(&shares(&planned), Look { theme: Theme::Auto, size: Size::PAGE }));
        write.map_err(|error| Failure::new(anyhow::Error::new(error).context(format!("cannot write `{}`", path.display()))))?;
        output::say(&format!("the shares are drawn in {}", path.display()));
    }
    output::write(&render(&file.sweep, &planned, format, output::table_width()))?;
    let n_jobs = count(file.sweep.n_jobs() as u64, "job");
    let name = escape_control(&file.sweep.name);
    output::say(&format!("sweep `{name}`: {n_jobs} of {}; nothing was submitted", count(planned.len() as u64, "network")));
    Ok(Exit::Ok)
}

fn render(sweep: &Sweep, planned: &[Planned], format: Format, width: Option<u16>) -> String {
    if format == Format::Table {
        return planned.iter().map(|planned| describe(planned, width)).collect::<Vec<_>>().join("\n");
    }
    let exits: Vec<&ExitRow> = planned.iter().flat_map(|planned| &planned.exits).collect();
    let exits = Rows::new(&view::PLANNED_EXITS, &exits);
    if format == Format::Csv {
        return csv::render(&exits);
    }
    let networks: Vec<&NetworkRow> = planned.iter().map(|planned| &planned.network).collect();
    json::detail(
        "networks",
        &[
            ("name", json::Part::Value(sweep.name.clone().into())),
            ("n_jobs", json::Part::Value(sweep.n_jobs().into())),
            ("networks", json::Part::List(&Rows::new(&view::NETWORKS, &networks))),
            ("exits", json::Part::List(&exits)),
        ],
    )
}

/// A network of a sweep, which jobs that differ in training alone share.
struct Planned {
    network: NetworkRow,
    exits: Vec<ExitRow>,
}

#[derive(Debug, Serialize)]
struct NetworkRow {
    network: u64,
    backbone: String,
    dataset: String,
    pattern: String,
    exits: String,
    budget: String,
    branch_rule: &'static str,
    backbone_macs: u64,
    backbone_params: u64,
    budget_macs: u64,
    branch_macs: u64,
    branch_params: u64,
    budget_error: f64,
    leaving: Vec<f64>,
    expected_branch_macs: f64,
    expected_macs_cascade: f64,
    expected_macs_selected: f64,
    n_jobs: u64,
}

#[derive(Debug, Serialize)]
struct ExitRow {
    network: u64,
    backbone: String,
    dataset: String,
    pattern: String,
    exits: String,
    budget: String,
    branch_rule: &'static str,
    budget_error: f64,
    exit: usize,
    is_final: bool,
    unit: usize,
    input: String,
    branch: String,
    branch_depth: usize,
    branch_width: usize,
    branch_share: Option<f64>,
    branch_macs: u64,
    branch_params: u64,
    backbone_macs: u64,
    macs_cascade: u64,
    macs_selected: u64,
}

/// The networks of a sweep, in the order of its jobs, numbered from 1.
fn networks(sweep: &Sweep) -> Vec<Planned> {
    let mut planned: Vec<Planned> = Vec::new();
    let mut known = HashMap::new();
    for run in sweep.runs() {
        // Equal networks of a sweep are one in memory.
        let index = *known.entry(Arc::as_ptr(&run.first.network)).or_insert_with(|| {
            planned.push(plan(planned.len() as u64 + 1, &run.first.config, &run.first.network));
            planned.len() - 1
        });
        planned[index].network.n_jobs += run.jobs.len() as u64;
    }
    planned
}

fn plan(number: u64, config: &JobConfig, network: &Network) -> Planned {
    let plan = network.plan;
    let leaving = leaving(config, network);
    let costs = network.exit_costs();
    let (expected_macs_cascade, expected_macs_selected) = network.expected_macs(&leaving);
    let expected_backbone_macs: f64 = costs.iter().zip(&leaving).map(|(cost, part)| cost.backbone_macs as f64 * part).sum();
    let (backbone_macs, backbone_params) = (network.backbone_macs(), network.backbone.total().params);
    let row = NetworkRow {
        network: number,
        backbone: config.backbone.clone(),
        dataset: config.dataset.clone(),
        pattern: config.pattern_label(),
        exits: config.exits_label(),
        budget: config.budget_label(),
        branch_rule: plan.map_or("none", |plan| plan.rule.as_str()),
        backbone_macs,
        backbone_params,
        budget_macs: plan.map_or(0, |plan| plan.budget_macs),
        branch_macs: plan.map_or(0, |plan| plan.branch_macs),
        branch_params: network.params().saturating_sub(backbone_params),
        budget_error: plan.map_or(0.0, |plan| plan.error()),
        leaving,
        expected_branch_macs: expected_macs_cascade - expected_backbone_macs,
        expected_macs_cascade,
        expected_macs_selected,
        n_jobs: 0,
    };
    let branches = network.branches.iter().map(Some).chain([network.final_branch.as_ref()]);
    let trunk = network.backbone.cumulative();
    let exits = branches.zip(&costs).enumerate().map(|(exit, (branch, cost))| {
        let is_final = exit == network.branches.len();
        let unit = branch.map_or(trunk.len().saturating_sub(1), |branch| branch.unit);
        ExitRow {
            network: number,
            backbone: row.backbone.clone(),
            dataset: row.dataset.clone(),
            pattern: row.pattern.clone(),
            exits: row.exits.clone(),
            budget: row.budget.clone(),
            branch_rule: row.branch_rule,
            budget_error: row.budget_error,
            exit,
            is_final,
            unit,
            input: trunk.get(unit).map_or(network.backbone.input, |trunk| trunk.output).to_string(),
            branch: layers(branch.map_or(network.head(), |branch| &branch.layers)),
            branch_depth: branch.map_or(0, |branch| branch.depth),
            branch_width: branch.map_or(0, |branch| branch.width),
            branch_share: (branch.is_some() && row.branch_macs > 0).then(|| cost.branch_macs as f64 / row.branch_macs as f64),
            branch_macs: cost.branch_macs,
            branch_params: cost.branch_params,
            backbone_macs: cost.backbone_macs,
            macs_cascade: cost.macs_cascade,
            macs_selected: cost.macs_selected,
        }
    });
    Planned { exits: exits.collect(), network: row }
}

/// Which part of the inputs is taken to leave at each exit: what the budget says, or as many at every exit.
fn leaving(config: &JobConfig, network: &Network) -> Vec<f64> {
    let n_exits = network.n_exits();
    match config.branches.as_ref().map(|branches| &branches.budget) {
        Some(Budget::Expected { exits, .. }) if exits.len() == n_exits => exits.clone(),
        _ => vec![1.0 / n_exits as f64; n_exits],
    }
}

/// Layers in a few words: those that weigh or change the shape, equal ones counted.
fn layers(layers: &[Layer]) -> String {
    let mut words: Vec<(String, usize)> = Vec::new();
    for layer in layers {
        let Some(word) = layer_word(*layer) else { continue };
        match words.last_mut() {
            Some((last, n)) if *last == word => *n += 1,
            _ => words.push((word, 1)),
        }
    }
    let words = words.into_iter().map(|(word, n)| if n == 1 { word } else { format!("{n} x {word}") });
    words.collect::<Vec<_>>().join(", ")
}

fn layer_word(layer: Layer) -> Option<String> {
    match layer {
        Layer::Conv2d(conv) => {
            let stride = if conv.stride == 1 { String::new() } else { format!("/{}", conv.stride) };
            Some(format!("conv {}{stride} {}", conv.kernel, conv.outputs))
        }
        Layer::MaxPool { kernel, .. } => Some(format!("max {kernel}")),
        Layer::AveragePool { kernel, .. } => Some(format!("mean {kernel}")),
        Layer::GlobalAveragePool => Some("mean".to_owned()),
        Layer::Linear { outputs, .. } => Some(format!("linear {outputs}")),
        Layer::BatchNorm { .. } | Layer::Relu | Layer::Relu6 => None,
    }
}

/// A network as people read it: what it is, what it comes to, and its exits.
fn describe(planned: &Planned, width: Option<u16>) -> String {
    let row = &planned.network;
    let mut text = format!("{}: {} on {}, pattern {}", row.network, row.backbone, row.dataset, row.pattern);
    for (what, label) in [("exits", &row.exits), ("budget", &row.budget)].into_iter().filter(|(_, label)| *label != "-") {
        write!(text, ", {what} {label}").expect("writing to a String does not fail");
    }
    let size = |n_macs: u64, params: u64| format!("{} MACs, {} parameters", macs(n_macs as f64), macs(params as f64));
    let mut lines = vec![format!("{text} ({})", count(row.n_jobs, "job"))];
    lines.push(format!("   backbone: {}", size(row.backbone_macs, row.backbone_params)));
    if row.branch_rule != "none" {
        let branches = size(row.branch_macs, row.branch_params);
        lines.push(format!("   branches: {branches}; rule {}, {} off the budget", row.branch_rule, signed_percent(row.budget_error)));
    }
    if row.leaving.len() > 1 {
        let parts = row.leaving.iter().map(|part| percent(*part)).collect::<Vec<_>>().join(" / ");
        let [cascade, selected, branch] = [row.expected_macs_cascade, row.expected_macs_selected, row.expected_branch_macs].map(macs);
        lines.push(format!("   expected where {parts} leave: {cascade} MACs, {branch} of them of branches;"));
        lines.push(format!("   with the answering branch alone: {selected} MACs"));
    }
    lines.push(table::render(&Rows::new(&view::PLANNED_EXITS, &planned.exits), width));
    lines.join("\n")
}

/// Shares of the branch cost. What can be compared in one panel: networks that differ in their pattern alone.
fn shares(planned: &[Planned]) -> Figure {
    let mut groups: Vec<Group> = Vec::new();
    for Planned { network, exits } in planned {
        let side: Vec<&ExitRow> = exits.iter().filter(|exit| !exit.is_final).collect();
        if side.is_empty() {
            continue;
        }
        let name = format!("{} on {}", network.backbone, network.dataset);
        let conditions = format!("exits {}, budget {}", network.exits, network.budget);
        let points = side.iter().map(|exit| {
            let done = exit.backbone_macs as f64 / network.backbone_macs as f64;
            (done, exit.branch_share.unwrap_or(0.0))
        });
        let pattern = Pattern { name: network.pattern.clone(), points: points.collect() };
        match groups.iter_mut().find(|group| group.name == name && group.conditions == conditions) {
            Some(group) => group.patterns.push(pattern),
            None => groups.push(Group { name, conditions, patterns: vec![pattern] }),
        }
    }
    Figure::Shares(Shares { title: "Shares of the branch MACs at each exit".to_owned(), groups })
}

#[cfg(test)]
mod tests;
