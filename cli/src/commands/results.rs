//! `offramp frontier` and `offramp results`.

use offramp_proto::v1;

use crate::args::{CostChoice, FrontierArguments, ResultsArguments};
use crate::commands::write_list;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::Stand;
use crate::output::{Format, Rows, say, view};
use crate::progress::n_final;
use crate::source::{Frontiers, Source};
use crate::text::escape_control;

/// Shows frontiers of a sweep, or of all sweeps together.
pub(crate) async fn frontier(arguments: &FrontierArguments, format: Format) -> Result<Exit, Failure> {
    let source = Source::open(&arguments.source).await?;
    let sweep = (!arguments.global).then_some(arguments.sweep.as_str());
    let asked = Frontiers { sweep, grouping: arguments.by.grouping(), metric: arguments.cost.metric() };
    let (sweep, rows) = if arguments.history {
        let answer = source.frontier_history(&asked).await?;
        let view = match arguments.cost {
            CostChoice::Macs | CostChoice::MacsSelected => &view::HISTORY,
            CostChoice::Params => &view::HISTORY_BY_PARAMS,
            CostChoice::Latency => &view::HISTORY_BY_LATENCY,
        };
        (answer.sweep, Rows::new(view, &answer.points))
    } else {
        let answer = source.frontier(&asked).await?;
        let view = match arguments.cost {
            CostChoice::Macs | CostChoice::MacsSelected => &view::FRONTIER,
            CostChoice::Params => &view::FRONTIER_BY_PARAMS,
            CostChoice::Latency => &view::FRONTIER_BY_LATENCY,
        };
        (answer.sweep, Rows::new(view, &answer.points))
    };
    say_unfinished(sweep.as_ref());
    write_list(format, &rows, &no_points(sweep.as_ref(), arguments.cost))
}

/// What was looked for, where nothing was found.
fn no_points(sweep: Option<&v1::SweepRow>, cost: CostChoice) -> String {
    let results = match sweep {
        Some(sweep) => no_results(Some(sweep)),
        None => "there are no results yet".to_owned(),
    };
    match cost {
        CostChoice::Latency => format!("{results} with a measured latency (a sweep file asks for it under `[evaluation]`)"),
        CostChoice::Macs | CostChoice::MacsSelected | CostChoice::Params => results,
    }
}

/// Shows what every exit of a sweep's finished jobs reaches.
pub(crate) async fn results(arguments: &ResultsArguments, format: Format) -> Result<Exit, Failure> {
    let answer = Source::open(&arguments.source).await?.results(&arguments.sweep).await?;
    say_unfinished(answer.sweep.as_ref());
    write_list(format, &Rows::new(&view::EXITS, &answer.exits), &no_results(answer.sweep.as_ref()))
}

fn say_unfinished(sweep: Option<&v1::SweepRow>) {
    if let Some(sweep) = sweep.filter(|sweep| Stand::of(sweep) != Stand::Over) {
        say(&format!("sweep `{}` is not finished: {} of {} jobs are", escape_control(&sweep.name), n_final(sweep), sweep.n_jobs));
    }
}

fn no_results(sweep: Option<&v1::SweepRow>) -> String {
    format!("sweep `{}` has no results yet", escape_control(sweep.map_or("", |sweep| &sweep.name)))
}
