//! `offramp job list`, `offramp job show` and `offramp job explain`.

use std::fmt::Write as _;

use offramp_domain::lifecycle::State;
use offramp_proto::v1;
use serde::Serialize;

use crate::args::{ExplainJobArguments, ListJobsArguments, ShowJobArguments};
use crate::commands::listing::{Listing, TABLE_ROWS};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Format, Rows, csv, json, table, view};
use crate::source::Source;
use crate::text::escape_control;

/// The order of jobs of all sweeps.
const OLDEST_FIRST: &[&str] = &["created_us"];

/// Lists jobs.
pub(crate) async fn list(arguments: &ListJobsArguments, format: Format) -> Result<Exit, Failure> {
    let state = arguments.state.map(|filter| filter.state().as_str());
    let listing = Listing {
        view: &view::JOBS,
        stored: "v_jobs",
        sweep: arguments.sweep.as_deref(),
        only: state.map_or_else(String::new, |state| format!("state = '{state}'")),
        // A sweep has an order of its own.
        order: if arguments.sweep.is_some() { &[] } else { OLDEST_FIRST },
        table_rows: TABLE_ROWS,
        nothing: state.map_or_else(|| "there is no job".to_owned(), |state| format!("no job is {state}")),
    };
    listing.write(&arguments.source, &arguments.select, format).await
}

/// Shows one job.
pub(crate) async fn show(arguments: &ShowJobArguments, format: Format) -> Result<Exit, Failure> {
    let detail = Source::open(&arguments.source).await?.job(&arguments.job).await?;
    output::write(&render(&detail, format, output::table_width()))?;
    Ok(Exit::Ok)
}

fn render(detail: &v1::JobDetail, format: Format, width: Option<u16>) -> String {
    let job = Rows::new(&view::JOBS, detail.job.as_slice());
    let dependencies = Rows::new(&view::DEPENDENCIES, &detail.dependencies);
    let events = Rows::new(&view::EVENTS, &detail.events);
    let attempts = Rows::new(&view::ATTEMPTS, &detail.attempts);
    let exits = Rows::new(&view::EXITS, &detail.exits);
    let points = Rows::new(&view::OPERATING_POINTS, &detail.operating_points);
    let artifacts = Rows::new(&view::ARTIFACTS, &detail.artifacts);
    let epochs = Rows::new(&view::EPOCHS, &detail.epochs);
    let config = serde_json::from_str(&detail.config_json).unwrap_or_else(|_| detail.config_json.clone().into());
    match format {
        Format::Csv => csv::render(&job),
        Format::Json | Format::Jsonl => json::detail(
            "job",
            &[
                ("job", json::Part::Row(&job)),
                ("config", json::Part::Value(config)),
                ("dependencies", json::Part::List(&dependencies)),
                ("events", json::Part::List(&events)),
                ("attempts", json::Part::List(&attempts)),
                ("exits", json::Part::List(&exits)),
                ("operating_points", json::Part::List(&points)),
                ("epochs", json::Part::List(&epochs)),
                ("artifacts", json::Part::List(&artifacts)),
            ],
        ),
        Format::Table => {
            let mut text = table::render_detail(&job, width);
            text.extend(["config  ", &escape_control(&detail.config_json), "\n"]);
            // The history tells of the attempts, too.
            let history = if detail.events.is_empty() { ("Attempts", &attempts) } else { ("History", &events) };
            let parts = [
                ("Waits for", &dependencies),
                history,
                ("Epochs", &epochs),
                ("Exits", &exits),
                ("Operating points", &points),
                ("Files", &artifacts),
            ];
            for (title, rows) in parts {
                if !rows.rows.is_empty() {
                    text.extend(["\n", title, "\n", &table::render(rows, width)]);
                }
            }
            text
        }
    }
}

/// Says why a job is not running.
pub(crate) async fn explain(arguments: &ExplainJobArguments, format: Format) -> Result<Exit, Failure> {
    let explanation = Source::open(&arguments.source).await?.explain(&arguments.job).await?;
    output::write(&render_explanation(&explanation, format, output::table_width()))?;
    Ok(Exit::Ok)
}

/// What a worker lacks, as one text.
#[derive(Debug, Serialize)]
struct FitRow<'a> {
    worker: &'a str,
    n_slots: u32,
    n_leased: u32,
    lacks: String,
}

fn render_explanation(explanation: &v1::JobExplanation, format: Format, width: Option<u16>) -> String {
    let job = Rows::new(&view::JOBS, explanation.job.as_slice());
    let workers: Vec<FitRow> = explanation.workers.iter().map(FitRow::new).collect();
    let workers = Rows::new(&view::FITS, &workers);
    match format {
        Format::Csv => csv::render(&workers),
        Format::Json | Format::Jsonl => json::detail(
            "explanation",
            &[
                ("job", json::Part::Row(&job)),
                ("reasons", json::Part::Value(explanation.reasons.clone().into())),
                ("n_ahead", json::Part::Value(explanation.n_ahead.into())),
                ("more_ahead", json::Part::Value(explanation.more_ahead.into())),
                ("workers", json::Part::List(&workers)),
            ],
        ),
        Format::Table => {
            let mut text = explanation.job.as_ref().map_or_else(String::new, |job| why(job, explanation));
            if !workers.rows.is_empty() {
                text.extend(["\nWorkers, the nearest first\n", &table::render(&workers, width)]);
            }
            text
        }
    }
}

impl<'a> FitRow<'a> {
    fn new(fit: &'a v1::WorkerFit) -> Self {
        Self { worker: &fit.worker, n_slots: fit.n_slots, n_leased: fit.n_leased, lacks: fit.lacks.join("; ") }
    }
}

fn why(job: &v1::JobRow, explanation: &v1::JobExplanation) -> String {
    let infallible = "a String takes any text";
    let label = escape_control(&format!("{} {} {} seed {}", job.backbone, job.dataset, job.pattern, job.seed));
    let mut text = format!("job {} ({label}) is {}\n", escape_control(&job.job), escape_control(&job.state));
    for reason in &explanation.reasons {
        writeln!(text, "  - {}", escape_control(reason)).expect(infallible);
    }
    if State::parse(&job.state) == Some(State::Queued) {
        if explanation.reasons.is_empty() {
            text.push_str("  - nothing keeps it: a worker takes it any moment\n");
        }
        if explanation.workers.is_empty() {
            text.push_str("`offramp worker` starts a worker\n");
        }
    }
    text
}

#[cfg(test)]
mod tests;
