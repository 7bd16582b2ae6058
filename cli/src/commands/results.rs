//! `offramp frontier` and `offramp results`.

use offramp_proto::v1;

use crate::args::{CostChoice, FrontierArguments, ResultsArguments};
use crate::commands::listing::{self, Listing, TABLE_ROWS};
use crate::commands::{band, indicators, reached, write_list};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::Stand;
use crate::output::{Format, Rows, say, view};
use crate::progress::n_final;
use crate::source::{Frontiers, Source};
use crate::text::escape_control;

/// Shows frontiers of a sweep, or of all sweeps together.
pub(crate) async fn frontier(arguments: &FrontierArguments, format: Format) -> Result<Exit, Failure> {
    if arguments.band || arguments.indicators {
        return points_in_numbers(arguments, format).await;
    }
    let stored = listing::stored(if arguments.history { "v_frontier_history" } else { "v_frontier" });
    // A mistake is told before anything is opened.
    listing::parse(stored, &arguments.select)?;
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
    listing::write_chosen(rows, stored, &arguments.select, format, &no_points(sweep.as_ref(), arguments.cost))
}

/// Shows what follows from all operating points, rather than from those on the stored frontiers.
async fn points_in_numbers(arguments: &FrontierArguments, format: Format) -> Result<Exit, Failure> {
    // A mistake is told before anything is opened.
    reached::check(arguments)?;
    let source = Source::open(&arguments.source).await?;
    let sweep = if arguments.global { None } else { source.sweep(&arguments.sweep).await?.sweep };
    say_unfinished(sweep.as_ref());
    let rows = if arguments.band { band::rows(&source, arguments).await? } else { indicators::rows(&source, arguments).await? };
    let nothing = no_points(sweep.as_ref(), arguments.cost);
    write_list(format, &rows, &listing::looked_for(&arguments.select, &nothing))
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
    let listing = Listing {
        view: &view::EXITS,
        stored: "v_exits",
        sweep: Some(&arguments.sweep),
        only: String::new(),
        order: &[],
        table_rows: TABLE_ROWS,
        nothing: String::new(),
    };
    // A mistake is told before anything is opened.
    listing.query(&arguments.select)?;
    let source = Source::open(&arguments.source).await?;
    let sweep = source.sweep(&arguments.sweep).await?.sweep;
    say_unfinished(sweep.as_ref());
    // By its id: `last` may be another one by now.
    let id = sweep.as_ref().map(|sweep| sweep.sweep.to_string());
    let listing = Listing { sweep: id.as_deref(), nothing: no_results(sweep.as_ref()), ..listing };
    listing.write_from(&source, &arguments.select, format).await
}

fn say_unfinished(sweep: Option<&v1::SweepRow>) {
    if let Some(sweep) = sweep.filter(|sweep| Stand::of(sweep) != Stand::Over) {
        say(&format!("sweep `{}` is not finished: {} of {} jobs are", escape_control(&sweep.name), n_final(sweep), sweep.n_jobs));
    }
}

fn no_results(sweep: Option<&v1::SweepRow>) -> String {
    format!("sweep `{}` has no results yet", escape_control(sweep.map_or("", |sweep| &sweep.name)))
}
