//! Seeds, digests, and the commands that do it again.

use std::fmt::Write as _;

use maud::{Markup, html};
use sha2::{Digest, Sha256};

use crate::report::Material;
use crate::report::cells::{Naming, cells};
use crate::report::parts::{Kind, commands, section, table};

/// SHA-256 of a text, 64 hexadecimal digits.
pub(super) fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes any text");
        text
    })
}

/// Which seeds every cell has.
pub(super) fn seeds(material: &Material) -> Markup {
    let naming = Naming::of(&material.jobs);
    let rows: Vec<Vec<String>> = cells(&material.jobs)
        .iter()
        .map(|cell| {
            let seeds = |finished: bool| {
                let seeds = cell.jobs.iter().filter(|job| (job.state == "succeeded") == finished).map(|job| job.seed.to_string());
                seeds.collect::<Vec<_>>().join(", ")
            };
            vec![naming.name(cell.any()), cell.finished().count().to_string(), seeds(true), seeds(false)]
        })
        .collect();
    let columns = [("cell", Kind::Text), ("results", Kind::Number), ("seeds with a result", Kind::Prose), ("seeds without", Kind::Varied)];
    let body = html! {
        p { "A seed decides everything that is random in a job: the split, the weights at the start, the order of images, augmentation." }
        (table("Seeds of every cell", &columns, &rows, &format!("offramp job list {} --output csv", material.sweep.sweep)))
    };
    section("seeds", "Seeds", &body)
}

/// How to do it again.
pub(super) fn reproduce(material: &Material) -> Markup {
    let sweep = material.sweep.sweep;
    let naming = Naming::of(&material.jobs);
    let rows: Vec<Vec<String>> = material
        .jobs
        .iter()
        .map(|job| {
            let records = material.details.get(&job.job).and_then(|detail| detail.artifacts.iter().find(|file| file.kind == "records"));
            vec![
                job.job.clone(),
                naming.name(job),
                job.seed.to_string(),
                job.state.clone(),
                job.trainer.clone().unwrap_or_else(|| "-".to_owned()),
                job.job_key.clone(),
                records.map_or_else(|| "-".to_owned(), |file| file.sha256.clone()),
            ]
        })
        .collect();
    let columns = [
        ("job", Kind::Text),
        ("cell", Kind::Prose),
        ("seed", Kind::Number),
        ("state", Kind::Text),
        ("trainer", Kind::Text),
        ("key: digest of its configuration", Kind::Text),
        ("SHA-256 of its per-sample records", Kind::Varied),
    ];
    let example = material.jobs.iter().find(|job| job.state == "succeeded").map_or("JOB", |job| &job.job);
    let again = [
        "offramp up sweep.toml                  # the sweep file above, saved under this name".to_owned(),
        format!("offramp reproduce {example}         # one job again, compared digit for digit"),
    ];
    let elsewhere = [
        format!("offramp report {sweep}"),
        format!("offramp frontier {sweep} --output csv"),
        format!("offramp results {sweep} --output csv"),
        format!("offramp job list {sweep} --output csv"),
    ];
    let body = html! {
        p { "On the CPU, the same configuration gives the same bits, whoever trains it; a job's key is the digest of that configuration, so equal keys mean equal work." }
        (commands(&again))
        p { "These read the results that this report is made of; add " code { "--database" } " or " code { "--coordinator" } " where they are not at the default place:" }
        (commands(&elsewhere))
        (table("Jobs with their digests", &columns, &rows, &format!("offramp job list {sweep} --output csv")))
        p.note { "Written by Offramp " (env!("CARGO_PKG_VERSION")) "." }
    };
    section("reproduce", "How to reproduce it", &body)
}
