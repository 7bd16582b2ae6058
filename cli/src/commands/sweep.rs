//! `offramp sweep list` and `offramp sweep show`.

use offramp_proto::v1;
use serde::Serialize;

use crate::args::{ListSweepsArguments, ShowSweepArguments};
use crate::commands::listing::Listing;
use crate::commands::watch;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Format, Rows, csv, json, table, view};
use crate::source::Source;

/// Most sweeps of a table, unless told otherwise.
const TABLE_SWEEPS: u64 = 100;

/// Lists sweeps.
pub(crate) async fn list(arguments: &ListSweepsArguments, format: Format) -> Result<Exit, Failure> {
    let listing = Listing {
        view: &view::SWEEPS,
        stored: "v_sweeps",
        sweep: None,
        only: String::new(),
        order: &["-sweep"],
        table_rows: TABLE_SWEEPS,
        nothing: "there are no sweeps yet; `offramp up SWEEP.toml` runs one".to_owned(),
    };
    listing.write(&arguments.source, &arguments.select, format).await
}

/// Shows one sweep.
pub(crate) async fn show(arguments: &ShowSweepArguments, format: Format) -> Result<Exit, Failure> {
    if arguments.watch {
        return watch::run(arguments, format).await;
    }
    let source = Source::open(&arguments.source).await?;
    let status = source.sweep(&arguments.sweep).await?;
    let patterns = source.patterns(&arguments.sweep).await?.patterns;
    output::write(&render(&status, &patterns, format, output::table_width()))?;
    Ok(Exit::Ok)
}

/// Renders a sweep's status with the comparison of its patterns.
pub(super) fn render(status: &v1::SweepStatus, patterns: &[v1::PatternRow], format: Format, width: Option<u16>) -> String {
    let sweep = Rows::new(&view::SWEEPS, status.sweep.as_slice());
    let running: Vec<RunningRow> = status.running.iter().map(RunningRow::new).collect();
    let running = Rows::new(&view::RUNNING, &running);
    let patterns = Rows::new(&view::PATTERNS, patterns);
    match format {
        Format::Csv => csv::render(&sweep),
        Format::Json | Format::Jsonl => {
            let parts =
                [("sweep", json::Part::Row(&sweep)), ("running", json::Part::List(&running)), ("patterns", json::Part::List(&patterns))];
            json::detail("sweep", &parts)
        }
        Format::Table => {
            let mut text = table::render_detail(&sweep, width);
            for (title, rows) in [("Running", &running), ("Patterns, over seeds", &patterns)] {
                if !rows.rows.is_empty() {
                    text.extend(["\n", title, "\n", &table::render(rows, width)]);
                }
            }
            text
        }
    }
}

/// What a slot is doing, with its progress in the same row. Absent progress: nothing was heard yet.
#[derive(Debug, Serialize)]
struct RunningRow<'a> {
    job: &'a str,
    attempt: u32,
    worker: &'a str,
    slot: Option<u32>,
    backbone: &'a str,
    dataset: &'a str,
    pattern: &'a str,
    seed: u64,
    epoch: Option<u32>,
    n_epochs: Option<u32>,
    loss: Option<f64>,
    exit_accuracy: Option<&'a [f64]>,
    images_per_second: Option<f64>,
}

impl<'a> RunningRow<'a> {
    fn new(job: &'a v1::RunningJob) -> Self {
        let progress = job.progress.as_ref();
        Self {
            job: &job.job,
            attempt: job.attempt,
            worker: &job.worker,
            slot: progress.map(|_| job.slot),
            backbone: &job.backbone,
            dataset: &job.dataset,
            pattern: &job.pattern,
            seed: job.seed,
            epoch: progress.map(|progress| progress.epoch),
            n_epochs: progress.map(|progress| progress.n_epochs),
            loss: progress.map(|progress| progress.loss),
            exit_accuracy: progress.map(|progress| progress.exit_accuracy.as_slice()),
            images_per_second: progress.map(|progress| progress.images_per_second),
        }
    }
}
