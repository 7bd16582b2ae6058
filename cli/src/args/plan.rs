//! Arguments of `offramp plan`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `offramp plan`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp plan sweeps/digits.toml
  offramp plan sweeps/digits.toml --output csv > exits.csv
  offramp plan sweeps/digits.toml --svg shares.svg

A network is what backbone, dataset, exits, budget and pattern say; jobs that differ in training
alone share one. Nothing is trained, asked or written, but for the file of --svg.")]
pub(crate) struct PlanArguments {
    /// The sweep file
    #[arg(value_name = "SWEEP.toml")]
    pub(crate) file: PathBuf,
    /// Draw how the branch MACs are shared out over the exits, into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}
