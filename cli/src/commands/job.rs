//! `offramp job list` and `offramp job show`.

use offramp_proto::v1;

use crate::args::{ListJobsArguments, ShowJobArguments};
use crate::commands::write_list;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Format, Rows, csv, json, table, view};
use crate::source::Source;
use crate::text::escape_control;

/// Lists jobs.
pub(crate) async fn list(arguments: &ListJobsArguments, format: Format) -> Result<Exit, Failure> {
    let request = v1::ListJobsRequest {
        sweep: arguments.sweep.clone().unwrap_or_default(),
        state: arguments.state.map_or("", |state| state.as_str()).to_owned(),
        limit: arguments.limit,
        offset: arguments.offset,
    };
    let jobs = Source::open(&arguments.source).await?.jobs(request).await?;
    let full = jobs.len() as u64 >= u64::from(arguments.limit);
    let exit = write_list(format, &Rows::new(&view::JOBS, &jobs), "no job matches")?;
    if full {
        let next = arguments.offset + jobs.len() as u64;
        output::say(&format!("there may be more: --offset {next} shows the next, --limit changes how many"));
    }
    Ok(exit)
}

/// Shows one job.
pub(crate) async fn show(arguments: &ShowJobArguments, format: Format) -> Result<Exit, Failure> {
    let detail = Source::open(&arguments.source).await?.job(&arguments.job).await?;
    output::write(&render(&detail, format, output::table_width()))?;
    Ok(Exit::Ok)
}

fn render(detail: &v1::JobDetail, format: Format, width: Option<u16>) -> String {
    let job = Rows::new(&view::JOBS, detail.job.as_slice());
    let attempts = Rows::new(&view::ATTEMPTS, &detail.attempts);
    let exits = Rows::new(&view::EXITS, &detail.exits);
    let points = Rows::new(&view::OPERATING_POINTS, &detail.operating_points);
    let epochs = Rows::new(&view::EPOCHS, &detail.epochs);
    let config = serde_json::from_str(&detail.config_json).unwrap_or_else(|_| detail.config_json.clone().into());
    match format {
        Format::Csv => csv::render(&job),
        Format::Json => json::detail(
            "job",
            &[
                ("job", json::Part::Row(&job)),
                ("config", json::Part::Value(config)),
                ("attempts", json::Part::List(&attempts)),
                ("exits", json::Part::List(&exits)),
                ("operating_points", json::Part::List(&points)),
                ("epochs", json::Part::List(&epochs)),
            ],
        ),
        Format::Table => {
            let mut text = table::render_detail(&job, width);
            text.extend(["config  ", &escape_control(&detail.config_json), "\n"]);
            for (title, rows) in [("Attempts", &attempts), ("Epochs", &epochs), ("Exits", &exits), ("Operating points", &points)] {
                if !rows.rows.is_empty() {
                    text.extend(["\n", title, "\n", &table::render(rows, width)]);
                }
            }
            text
        }
    }
}
