//! What was asked for: the sweep file and its axes in words; how jobs train and are evaluated.

use std::collections::BTreeSet;

use maud::{Markup, html};
use offramp_domain::job::{Evaluation, JobConfig};
use offramp_proto::v1;

use crate::report::Material;
use crate::report::cells::distinct;
use crate::report::parts::{Kind, missing, note, section, table, verbatim};
use crate::text::{count, escape_control, percent};

/// Values of an axis that are written out; of more, the first and the last.
const MOST_VALUES: usize = 24;
/// Recipes that a configuration is shown of.
const MOST_CONFIGURATIONS: usize = 8;

/// The sweep file and its axes.
pub(super) fn asked(material: &Material) -> Markup {
    let jobs = &material.jobs;
    let seeds: BTreeSet<u64> = jobs.iter().map(|job| job.seed).collect();
    let axes = [
        ("backbone", distinct(jobs, |job| &job.backbone)),
        ("dataset", distinct(jobs, |job| &job.dataset)),
        ("exits", distinct(jobs, |job| &job.exits)),
        ("budget of the branches", distinct(jobs, |job| &job.budget)),
        ("pattern", distinct(jobs, |job| &job.pattern)),
        ("recipe", distinct(jobs, |job| &job.recipe)),
    ];
    let mut rows: Vec<Vec<String>> = axes
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(axis, values)| vec![axis.to_owned(), values.len().to_string(), listed(&values)])
        .collect();
    let texts: Vec<String> = seeds.iter().map(u64::to_string).collect();
    rows.push(vec!["seed".to_owned(), seeds.len().to_string(), listed(&texts.iter().map(String::as_str).collect::<Vec<_>>())]);
    let n_cells = crate::report::cells::cells(jobs).len();
    let body = html! {
        p {
            (count(material.sweep.n_jobs as u64, "job")) " in " (count(n_cells as u64, "cell")) ": a cell is everything but the seed. "
            "Branches of different patterns are solved to the same total cost, so that patterns differ in where the cost is spent and not in how much."
        }
        (table("Axes of the sweep", &[("axis", Kind::Text), ("values", Kind::Number), ("which", Kind::Prose)], &rows, ""))
        @if (jobs.len() as i64) < material.sweep.n_jobs {
            (note(&format!("This report is about the first {} jobs.", jobs.len())))
        }
        h3 { "The sweep file" }
        p {
            "As it was submitted"
            @if !material.file.submitted_by.is_empty() { " by " (escape_control(&material.file.submitted_by)) }
            "; its SHA-256 is " code { (super::reproduce::sha256(&material.file.text)) } "."
        }
        (verbatim(&material.file.text))
    };
    section("asked", "What was asked", &body)
}

/// Values in a row; of very many the first and the last.
fn listed(values: &[&str]) -> String {
    if values.len() <= MOST_VALUES {
        return values.join("; ");
    }
    format!("{}; ...; {}", values[..MOST_VALUES - 1].join("; "), values[values.len() - 1])
}

/// How jobs train, and how they are evaluated.
pub(super) fn configuration(material: &Material) -> Markup {
    let jobs = &material.jobs;
    let mut seen = BTreeSet::new();
    // With branches where there are any: a plain backbone says nothing about them.
    let mut examples: Vec<(&v1::JobRow, &v1::JobDetail)> = material.stories().collect();
    examples.sort_by_key(|(job, _)| job.pattern == "none");
    let shown: Vec<(&v1::JobRow, &v1::JobDetail)> =
        examples.into_iter().filter(|(job, _)| seen.insert(job.recipe.as_str())).take(MOST_CONFIGURATIONS).collect();
    let rows: Vec<Vec<String>> = distinct(jobs, |job| &job.recipe)
        .into_iter()
        .map(|recipe| {
            let of = |job: &&v1::JobRow| job.recipe == recipe;
            let Some(job) = jobs.iter().find(|job| of(job) && job.pattern != "none").or_else(|| jobs.iter().find(of)) else {
                return vec![String::new(); 5];
            };
            let n_jobs = jobs.iter().filter(of).count().to_string();
            vec![recipe.to_owned(), job.regime.clone(), job.distill.clone(), job.exit_weights.clone(), n_jobs]
        })
        .collect();
    let evaluations: BTreeSet<String> = material
        .stories()
        .filter_map(|(_, detail)| Some(evaluation(&JobConfig::from_json(&detail.config_json).ok()?.evaluation)))
        .collect();
    let columns = [
        ("recipe", Kind::Prose),
        ("regime", Kind::Text),
        ("distillation", Kind::Text),
        ("weights of the exits", Kind::Text),
        ("jobs", Kind::Number),
    ];
    let body = html! {
        (table("How jobs train", &columns, &rows, "offramp job list --output csv"))
        @if evaluations.is_empty() { (missing("How jobs are evaluated is not known: no job's configuration was read.")) }
        @for evaluation in &evaluations { p { (evaluation) } }
        @for (job, detail) in shown {
            h3 { "Configuration of job " code { (job.job) } }
            p { "Everything that decides over its result, as it was hashed for its key " code { (job.job_key) } "." }
            (verbatim(&pretty(&detail.config_json)))
        }
    };
    section("configuration", "Configuration", &body)
}

fn evaluation(evaluation: &Evaluation) -> String {
    let policies: Vec<&str> = evaluation.policies.iter().map(|policy| policy.as_str()).collect();
    let latency = if evaluation.latency { "Latency was measured with real early exit." } else { "Latency was not measured." };
    format!(
        "Settings of the exit policies ({}) are chosen on {} of the training images, which are not trained on; accuracies are of the test split, \
         on which nothing is chosen. {latency}",
        if policies.is_empty() { "fixed".to_owned() } else { format!("fixed, {}", policies.join(", ")) },
        percent(evaluation.calibration)
    )
}

/// JSON over several lines; what is none as it is.
fn pretty(json: &str) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(json).ok();
    value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| json.to_owned())
}
