//! What ran: jobs by state, attempts, failures, workers, time.

use std::collections::BTreeMap;

use maud::{Markup, html};
use offramp_proto::v1;

use crate::report::Material;
use crate::report::cells::Naming;
use crate::report::parts::{Kind, missing, note, section, table};
use crate::text::{count, seconds, time};

/// Characters of a failure's message; the database has all of it.
const MOST_MESSAGE_CHARS: usize = 600;

/// What ran.
pub(super) fn ran(material: &Material) -> Markup {
    let sweep = &material.sweep;
    let states = [
        ("succeeded", sweep.n_succeeded),
        ("failed", sweep.n_failed),
        ("diverged", sweep.n_diverged),
        ("quarantined", sweep.n_quarantined),
        ("cancelled", sweep.n_cancelled),
        ("leased", sweep.n_leased),
        ("queued", sweep.n_queued),
        ("blocked", sweep.n_blocked),
    ];
    let rows: Vec<Vec<String>> = states
        .into_iter()
        .filter(|(_, n)| *n > 0)
        .map(|(state, n)| vec![state.to_owned(), n.to_string(), meaning(state).to_owned()])
        .collect();
    let body = html! {
        (table("Jobs by state", &[("state", Kind::Text), ("jobs", Kind::Number), ("meaning", Kind::Prose)], &rows, ""))
        @if sweep.n_reused > 0 {
            (note(&format!("{} had a result before the sweep was submitted: equal work is done once.", count(sweep.n_reused as u64, "job"))))
        }
        (span(material))
        (attempts(material))
        (failures(material))
        (workers(material))
    };
    section("ran", "What ran", &body)
}

fn meaning(state: &str) -> &'static str {
    match state {
        "succeeded" => "has a result",
        "failed" => "used up its tries",
        "diverged" => "its loss was not finite",
        "quarantined" => "crashed its trainer on several workers",
        "cancelled" => "somebody stopped it",
        "leased" => "a worker has it",
        "queued" => "waits for a worker",
        _ => "waits for other jobs' results",
    }
}

fn span(material: &Material) -> Markup {
    let begun = material.stories().flat_map(|(_, detail)| detail.attempts.iter().map(|attempt| attempt.leased_us)).min();
    let finished = material.jobs.iter().filter_map(|job| job.finished_us).max();
    let trained: Vec<f64> = material.jobs.iter().filter_map(|job| job.train_seconds).collect();
    html! {
        p {
            "Submitted " (time(material.sweep.created_us)) "; "
            @match begun { Some(begun) => { "first attempt " (time(begun)) "; " }, None => {} }
            @match finished { Some(finished) => { "last job finished " (time(finished)) "." }, None => { "no job is finished." } }
            @if !trained.is_empty() {
                " Training took " (seconds(trained.iter().sum())) " in all, " (seconds(offramp_domain::statistics::mean(&trained))) " a job."
            }
        }
    }
}

fn attempts(material: &Material) -> Markup {
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    for attempt in material.stories().flat_map(|(_, detail)| &detail.attempts) {
        *outcomes.entry(&attempt.outcome).or_default() += 1;
    }
    if outcomes.is_empty() {
        return missing("No job was tried yet.");
    }
    let rows: Vec<Vec<String>> = outcomes.into_iter().map(|(outcome, n)| vec![outcome.to_owned(), n.to_string()]).collect();
    html! {
        (table("Attempts by outcome", &[("outcome", Kind::Text), ("attempts", Kind::Number)], &rows, ""))
        @if let Some(told) = material.told_of() { (note(&told)) }
    }
}

fn failures(material: &Material) -> Markup {
    let naming = Naming::of(&material.jobs);
    let went_wrong = |job: &&v1::JobRow| matches!(job.state.as_str(), "failed" | "diverged" | "quarantined");
    let rows: Vec<Vec<String>> = material
        .jobs
        .iter()
        .filter(went_wrong)
        .map(|job| vec![job.job.clone(), naming.name(job), job.seed.to_string(), job.state.clone(), job.attempt.to_string(), message(job)])
        .collect();
    let n_recovered = material.jobs.iter().filter(|job| job.state == "succeeded" && job.attempt > 1).count();
    let columns = [
        ("job", Kind::Text),
        ("cell", Kind::Prose),
        ("seed", Kind::Number),
        ("state", Kind::Text),
        ("attempts", Kind::Number),
        ("what the last attempt said", Kind::Prose),
    ];
    let all = format!("offramp job list {} --state failed", material.sweep.sweep);
    html! {
        h3 { "Failures" }
        @if rows.is_empty() { p { "No job ended without a result." } } @else {
            (table("Jobs without a result", &columns, &rows, &all))
            p.note { "Cells with failed jobs have fewer seeds below, and comparisons leave out the pairs that need them." }
        }
        @if n_recovered > 0 { (note(&format!("{} succeeded after more than one attempt.", count(n_recovered as u64, "job")))) }
    }
}

fn message(job: &v1::JobRow) -> String {
    let beginning: String = job.error.chars().take(MOST_MESSAGE_CHARS).collect();
    if beginning.len() < job.error.len() { format!("{beginning} ... (offramp job show {} has all of it)", job.job) } else { beginning }
}

fn workers(material: &Material) -> Markup {
    let mut n_attempts: BTreeMap<&str, usize> = BTreeMap::new();
    for attempt in material.stories().flat_map(|(_, detail)| &detail.attempts) {
        *n_attempts.entry(&attempt.worker).or_default() += 1;
    }
    let rows: Vec<Vec<String>> = n_attempts
        .into_iter()
        .map(|(name, n)| {
            // Of the worker's sessions the newest, which comes first.
            let session = material.workers.iter().find(|worker| worker.worker == name);
            let known = |field: fn(&v1::WorkerRow) -> String| session.map_or_else(|| "-".to_owned(), field);
            let memory = |worker: &v1::WorkerRow| worker.memory_mib.map_or_else(|| "-".to_owned(), |mib| format!("{mib} MiB"));
            vec![
                name.to_owned(),
                known(|worker| worker.device.clone()),
                known(memory),
                known(|worker| worker.labels.clone()),
                known(|worker| worker.trainer.clone()),
                known(|worker| worker.version.clone()),
                n.to_string(),
            ]
        })
        .collect();
    let trainers = super::cells::distinct(&material.jobs, |job| job.trainer.as_deref().unwrap_or_default());
    let columns = [
        ("worker", Kind::Text),
        ("device", Kind::Text),
        ("memory a slot", Kind::Number),
        ("labels", Kind::Text),
        ("trainer", Kind::Text),
        ("version of Offramp", Kind::Text),
        ("attempts", Kind::Number),
    ];
    html! {
        h3 { "Workers" }
        @if rows.is_empty() { (missing("No worker has had a job yet.")) } @else {
            (table("Workers that had jobs, with their newest session", &columns, &rows, "offramp workers list --all"))
        }
        @if !trainers.is_empty() { (note(&format!("Results were made by: {}.", trainers.join(", ")))) }
    }
}
