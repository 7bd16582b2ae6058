//! `offramp sweep submit`.

use std::collections::HashMap;
use std::time::Duration;

use offramp_domain::job::JobConfig;
use offramp_domain::network::Network;
use offramp_domain::sweep::Sweep;
use offramp_proto::v1;
use serde::Serialize;

use crate::args::SubmitArguments;
use crate::client::{Client, PATIENCE};
use crate::commands::{SweepFile, read_sweep_file};
use crate::environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Format, Rows, csv, json, table, view};
use crate::text::{count, escape_control, shell_word};

/// Submits a sweep file, or shows what it would become.
pub(crate) async fn run(arguments: &SubmitArguments, format: Format) -> Result<Exit, Failure> {
    let file = read_sweep_file(&arguments.file)?;
    if arguments.dry_run {
        dry_run(&file, &arguments.coordinator, format).await
    } else {
        submit(file, &arguments.coordinator, format).await
    }
}

async fn submit(file: SweepFile, coordinator: &str, format: Format) -> Result<Exit, Failure> {
    let by = environment::user_at_host();
    let request = v1::SubmitSweepRequest { text: file.text, file_name: file.name, dry_run: false, retry_failed: false, by };
    let answer = Client::new(coordinator, PATIENCE)?.submit(request).await?;
    let sweep = Rows::new(&view::SWEEPS, answer.sweep.as_slice());
    output::write(&match format {
        Format::Table => table::render(&sweep, output::table_width()),
        Format::Csv => csv::render(&sweep),
        Format::Json | Format::Jsonl => json::detail(
            "submission",
            &[
                ("created", json::Part::Value(answer.created.into())),
                ("n_jobs", json::Part::Value(answer.n_jobs.into())),
                ("n_known_jobs", json::Part::Value(answer.n_known_jobs.into())),
                ("n_finished_jobs", json::Part::Value(answer.n_finished_jobs.into())),
                ("sweep", json::Part::Row(&sweep)),
            ],
        ),
    })?;
    let id = answer.sweep.as_ref().map_or_else(|| "last".to_owned(), |row| row.sweep.to_string());
    let what = if answer.created { "submitted" } else { "this sweep was submitted before" };
    output::say(&format!("{what}: {}", jobs_text(&answer)));
    output::say(&format!("to wait for it: offramp sweep wait {id} --coordinator {}", shell_word(coordinator)));
    Ok(Exit::Ok)
}

async fn dry_run(file: &SweepFile, coordinator: &str, format: Format) -> Result<Exit, Failure> {
    let cells = plan(&file.sweep);
    let rows = Rows::new(&view::PLAN, &cells);
    output::write(&match format {
        Format::Table => table::render(&rows, output::table_width()),
        Format::Csv => csv::render(&rows),
        Format::Json | Format::Jsonl => json::detail(
            "plan",
            &[
                ("name", json::Part::Value(file.sweep.name.clone().into())),
                ("n_jobs", json::Part::Value(file.sweep.n_jobs().into())),
                ("rows", json::Part::List(&rows)),
            ],
        ),
    })?;
    let n_jobs = count(file.sweep.n_jobs() as u64, "job");
    output::say(&format!(
        "sweep `{}`: {n_jobs} in {}; nothing was written",
        escape_control(&file.sweep.name),
        count(cells.len() as u64, "cell")
    ));
    // A coordinator adds what it has already; the plan itself needs none.
    let request = v1::SubmitSweepRequest {
        text: file.text.clone(),
        file_name: file.name.clone(),
        dry_run: true,
        retry_failed: false,
        by: environment::user_at_host(),
    };
    match Client::new(coordinator, Duration::ZERO)?.submit(request).await {
        Ok(answer) => output::say(&format!("at {coordinator}: {}", jobs_text(&answer))),
        Err(failure) if failure.exit() == Exit::Unreachable => {
            output::say(&format!("no coordinator answers at {coordinator}, so jobs that it may have already are not counted"));
        }
        Err(failure) => return Err(failure),
    }
    Ok(Exit::Ok)
}

fn jobs_text(answer: &v1::SubmitSweepResponse) -> String {
    let n_jobs = count(answer.n_jobs, "job");
    format!("{n_jobs}, {} known already, {} of them finished", answer.n_known_jobs, answer.n_finished_jobs)
}

/// One cell of a sweep: the jobs that differ in nothing but the seed.
#[derive(Debug, PartialEq, Serialize)]
struct PlanRow {
    backbone: String,
    dataset: String,
    pattern: String,
    exits: String,
    budget: String,
    recipe: String,
    branch_rule: &'static str,
    backbone_macs: u64,
    budget_macs: u64,
    branch_macs: u64,
    budget_error: f64,
    branch_depths: String,
    branch_widths: String,
    params: u64,
    n_jobs: u64,
}

/// The cells of a sweep, in the order of its jobs.
fn plan(sweep: &Sweep) -> Vec<PlanRow> {
    let mut cells: Vec<PlanRow> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for run in sweep.runs() {
        let cell = JobConfig { seed: 0, ..run.first.config.clone() };
        let index = *known.entry(cell.canonical_json()).or_insert_with(|| {
            cells.push(plan_row(&run.first.config, &run.first.network));
            cells.len() - 1
        });
        cells[index].n_jobs += run.jobs.len() as u64;
    }
    cells
}

fn plan_row(config: &JobConfig, network: &Network) -> PlanRow {
    let (rule, budget_macs, branch_macs) =
        network.plan.map_or(("none", 0, 0), |plan| (plan.rule.as_str(), plan.budget_macs, plan.branch_macs));
    let budget_error = network.plan.map_or(0.0, |plan| plan.error());
    let joined = |of: fn(&offramp_domain::network::Branch) -> usize| {
        let values: Vec<String> = network.branches.iter().chain(&network.final_branch).map(|branch| of(branch).to_string()).collect();
        if values.is_empty() { "-".to_owned() } else { values.join("/") }
    };
    PlanRow {
        backbone: config.backbone.clone(),
        dataset: config.dataset.clone(),
        pattern: config.pattern_label(),
        exits: config.exits_label(),
        budget: config.budget_label(),
        recipe: config.recipe_label(),
        branch_rule: rule,
        backbone_macs: network.backbone_macs(),
        budget_macs,
        branch_macs,
        budget_error,
        branch_depths: joined(|branch| branch.depth),
        branch_widths: joined(|branch| branch.width),
        params: network.params(),
        n_jobs: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_everything_but_the_seed() {
        let text = r#"
name = "a"
[axes]
backbone = "resnet8"
dataset = "digits"
pattern = "none"
epochs = [2, 3]
seed = [0, 1, 2]
[recipe]
batch_size = 32
optimizer = { sgd = { lr = 0.05 } }
"#;
        let cells = plan(&offramp_domain::sweep::parse(text).unwrap());
        let shown: Vec<_> = cells.iter().map(|cell| (&cell.recipe[..8], cell.n_jobs)).collect();
        assert_eq!(shown, [("2 epochs", 3), ("3 epochs", 3)]);
    }
}
