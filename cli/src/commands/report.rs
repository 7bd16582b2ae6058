//! `offramp report`.

use std::path::Path;

use crate::args::ReportArguments;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::report::{self, Material};
use crate::source::Source;
use crate::text::escape_control;

/// Writes a sweep's report.
pub(crate) async fn run(arguments: &ReportArguments) -> Result<Exit, Failure> {
    let source = Source::open(&arguments.source).await?;
    let material = Material::gather(&source, &arguments.sweep).await?;
    let page = report::render(&material);
    if arguments.out == Path::new("-") {
        output::write(&page)?;
    } else {
        let shown = escape_control(&arguments.out.display().to_string());
        std::fs::write(&arguments.out, &page).map_err(|error| {
            Failure::new(anyhow::Error::new(error).context(format!("cannot write the report to `{shown}`")))
                .hint("name another file with --out; `-` is stdout")
        })?;
        output::say(&format!("wrote {shown}"));
    }
    if material.has_results() {
        return Ok(Exit::Ok);
    }
    output::say(&format!("sweep `{}` has no results yet; the report says what was asked", escape_control(&material.sweep.name)));
    Ok(Exit::NothingMatched)
}
