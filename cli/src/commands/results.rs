//! `offramp frontier` and `offramp results`.

use offramp_proto::v1;

use crate::args::{FrontierArguments, ResultsArguments};
use crate::commands::write_list;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::Stand;
use crate::output::{Format, Rows, say, view};
use crate::progress::n_final;
use crate::source::Source;
use crate::text::escape_control;

/// Shows the frontier of a sweep.
pub(crate) async fn frontier(arguments: &FrontierArguments, format: Format) -> Result<Exit, Failure> {
    let answer = Source::open(&arguments.source).await?.frontier(&arguments.sweep, arguments.cost.metric()).await?;
    say_unfinished(answer.sweep.as_ref());
    write_list(format, &Rows::new(&view::FRONTIER, &answer.points), &no_results(answer.sweep.as_ref()))
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
