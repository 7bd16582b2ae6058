//! Arguments of `offramp sweep ...`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::args::{SourceArguments, parse_coordinator};
use crate::text::parse_duration;

/// What to do with sweeps.
#[derive(Debug, Subcommand)]
pub(crate) enum SweepCommand {
    /// Submit a sweep file to a coordinator, or see what it would become
    Submit(SubmitArguments),
    /// Wait until a sweep is finished
    Wait(WaitArguments),
    /// List sweeps, newest first
    List(ListSweepsArguments),
    /// Show one sweep: its counts, what is running, and how the patterns compare
    Show(ShowSweepArguments),
}

/// Arguments of `offramp sweep submit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp sweep submit sweeps/digits.toml --dry-run
  offramp sweep submit sweeps/digits.toml --coordinator http://node0:7717

The same file again is the same sweep: nothing is submitted twice. A dry run works without a coordinator.")]
pub(crate) struct SubmitArguments {
    /// The sweep file
    #[arg(value_name = "SWEEP.toml")]
    pub(crate) file: PathBuf,
    /// Check the file and show its cells; write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The coordinator to submit to
    #[arg(long, value_name = "URL", value_parser = parse_coordinator, default_value = "http://127.0.0.1:7717")]
    #[arg(env = "OFFRAMP_COORDINATOR", hide_env_values = true)]
    pub(crate) coordinator: String,
}

/// Arguments of `offramp sweep wait`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exits with 0 when every job has a result, 5 when some have none, 124 when the time is up, 3 when the
coordinator cannot be reached.")]
pub(crate) struct WaitArguments {
    /// The sweep: `last`, an id, or a name
    #[arg(value_name = "SWEEP", default_value = "last")]
    pub(crate) sweep: String,
    /// How long to wait, such as 30s, 5m or 12h [default: until it is finished]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// The coordinator that has the sweep
    #[arg(long, value_name = "URL", value_parser = parse_coordinator, default_value = "http://127.0.0.1:7717")]
    #[arg(env = "OFFRAMP_COORDINATOR", hide_env_values = true)]
    pub(crate) coordinator: String,
}

/// Arguments of `offramp sweep list`.
#[derive(Debug, Args)]
pub(crate) struct ListSweepsArguments {
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

/// Arguments of `offramp sweep show`.
#[derive(Debug, Args)]
#[command(after_help = "In CSV this is the sweep's row alone; JSON has the running jobs and the patterns, too.")]
pub(crate) struct ShowSweepArguments {
    /// The sweep: `last`, an id, or a name
    #[arg(value_name = "SWEEP", default_value = "last")]
    pub(crate) sweep: String,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}
