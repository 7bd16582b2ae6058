//! Arguments of `offramp report`.

use std::path::PathBuf;

use clap::Args;

use crate::args::SourceArguments;

/// Arguments of `offramp report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp report
  offramp report digits --out digits.html
  offramp report last --out - > report.html

The file needs nothing else: no network, no scripts, no other files. The same results give the
same bytes.")]
pub(crate) struct ReportArguments {
    /// The sweep: `last`, an id, or a name
    #[arg(value_name = "SWEEP", default_value = "last")]
    pub(crate) sweep: String,
    /// The file to write, which is replaced where it exists; `-` for stdout
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub(crate) out: PathBuf,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}
