//! Arguments of `offramp sweep ...`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::args::{
    CoordinatorAddress, DEFAULT_COORDINATOR, DiffSweepsArguments, Reason, SelectArguments, SourceArguments, parse_coordinator,
};
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
    /// Hand out no more of a sweep's jobs; running ones go on
    Pause(ControlSweepArguments),
    /// Go on with a sweep that was paused, by a person or because too many of its jobs failed
    Resume(ControlSweepArguments),
    /// Cancel what is left to do of a sweep and that no other sweep wants
    Cancel(ControlSweepArguments),
    /// Have a sweep's jobs handed out earlier or later than those of other sweeps
    Priority(PrioritizeSweepArguments),
    /// Show what differs between two sweeps: their files, their jobs, their results
    Diff(DiffSweepsArguments),
    /// Try jobs again that ended without a result
    Retry(RetrySweepArguments),
    /// Delete a sweep, and its jobs that no other sweep has, with their results
    Delete(DeleteSweepArguments),
}

/// Arguments of `offramp sweep submit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp sweep submit sweeps/digits.toml --dry-run
  offramp sweep submit sweeps/digits.toml --coordinator http://node0:7717

The same file again is the same sweep: nothing is submitted twice. A dry run works without a
coordinator.")]
pub(crate) struct SubmitArguments {
    /// The sweep file
    #[arg(value_name = "SWEEP.toml")]
    pub(crate) file: PathBuf,
    /// Check the file and show its cells; write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The coordinator to submit to
    #[arg(long, value_name = "URL", value_parser = parse_coordinator, default_value = DEFAULT_COORDINATOR)]
    #[arg(env = "OFFRAMP_COORDINATOR", hide_env_values = true)]
    pub(crate) coordinator: String,
}

/// Arguments of `offramp sweep wait`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp sweep wait last --timeout 12h
  offramp sweep wait digits --coordinator http://node0:7717

Exits with 0 when every job has a result, 5 when some ended without one or so many failed that the
sweep was paused, 124 when the time is up, 3 when the coordinator cannot be reached. While a person
has the sweep paused, it goes on waiting.")]
pub(crate) struct WaitArguments {
    /// The sweep: `last`, an id, or a name
    #[arg(value_name = "SWEEP", default_value = "last")]
    pub(crate) sweep: String,
    /// How long to wait, such as 30s, 5m or 12h [default: until it is finished]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// The coordinator that has the sweep
    #[arg(long, value_name = "URL", value_parser = parse_coordinator, default_value = DEFAULT_COORDINATOR)]
    #[arg(env = "OFFRAMP_COORDINATOR", hide_env_values = true)]
    pub(crate) coordinator: String,
}

/// Arguments of `offramp sweep list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp sweep list --coordinator http://node0:7717
  offramp sweep list --where 'n_failed > 0' --sort -n_failed
  offramp sweep list --output json")]
pub(crate) struct ListSweepsArguments {
    /// Which rows.
    #[command(flatten)]
    pub(crate) select: SelectArguments,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

/// Arguments of `offramp sweep show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp sweep show digits
  offramp sweep show last --watch --coordinator http://node0:7717
  offramp sweep show last --watch --output json | jq .sweep.n_succeeded

In CSV this is the sweep's row alone; JSON has the running jobs and the patterns, too. --watch
redraws a terminal; a pipe gets a line (JSON: a value, CSV: a row) a change. It ends with the sweep.")]
pub(crate) struct ShowSweepArguments {
    /// The sweep: `last`, an id, or a name
    #[arg(value_name = "SWEEP", default_value = "last")]
    pub(crate) sweep: String,
    /// Follow it at its coordinator until it is finished
    #[arg(long, conflicts_with = "database")]
    pub(crate) watch: bool,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

/// Arguments of `offramp sweep pause`, `resume` and `cancel`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp sweep pause digits --reason \"the GPUs are needed elsewhere\"
  offramp sweep resume digits --coordinator http://node0:7717
  offramp sweep cancel 7 --reason \"wrong budget\"

Doing it twice changes nothing. Jobs of a cancelled sweep that run are stopped with their workers'
next heartbeat; `offramp sweep retry SWEEP --cancelled` takes them up again.")]
pub(crate) struct ControlSweepArguments {
    /// The sweep: `last`, an id, or a name
    #[arg(value_name = "SWEEP")]
    pub(crate) sweep: String,
    /// Why.
    #[command(flatten)]
    pub(crate) reason: Reason,
    /// Whom to ask.
    #[command(flatten)]
    pub(crate) address: CoordinatorAddress,
}

/// Arguments of `offramp sweep delete`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp sweep delete 7 --reason \"wrong budget\"
  offramp sweep delete digits --yes

Its jobs that no other sweep has go with it, results and history included; the others stay. While
one of them runs, it is refused: cancel the sweep first. There is no way back.")]
pub(crate) struct DeleteSweepArguments {
    /// The sweep: `last`, an id, or a name
    #[arg(value_name = "SWEEP")]
    pub(crate) sweep: String,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Why.
    #[command(flatten)]
    pub(crate) reason: Reason,
    /// Whom to ask.
    #[command(flatten)]
    pub(crate) address: CoordinatorAddress,
}

/// Arguments of `offramp sweep priority`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp sweep priority digits 10
  offramp sweep priority digits -5

Jobs of a higher priority are handed out first; sweeps of the same priority take turns. 0 is what
sweeps have unless their file says otherwise.")]
pub(crate) struct PrioritizeSweepArguments {
    /// The sweep: `last`, an id, or a name
    #[arg(value_name = "SWEEP")]
    pub(crate) sweep: String,
    /// The priority, -100 to 100; higher is earlier
    #[arg(value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-100..=100))]
    pub(crate) priority: i32,
    /// Why.
    #[command(flatten)]
    pub(crate) reason: Reason,
    /// Whom to ask.
    #[command(flatten)]
    pub(crate) address: CoordinatorAddress,
}

/// Arguments of `offramp sweep retry`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp sweep retry last
  offramp sweep retry digits --failed --quarantined --reason \"driver updated\"
  offramp sweep retry --job 0123456789ab

They are queued again with all their tries before them, and with them the jobs that failed because
they waited for these. A sweep that was paused or, with --cancelled, cancelled goes on.")]
pub(crate) struct RetrySweepArguments {
    /// The sweep: `last`, an id, or a name
    #[arg(value_name = "SWEEP", required_unless_present = "job", conflicts_with = "job")]
    pub(crate) sweep: Option<String>,
    /// Failed jobs (so it is when no kind is named)
    #[arg(long, conflicts_with = "job")]
    pub(crate) failed: bool,
    /// Jobs that crashed trainers on several workers
    #[arg(long, conflicts_with = "job")]
    pub(crate) quarantined: bool,
    /// Cancelled jobs
    #[arg(long, conflicts_with = "job")]
    pub(crate) cancelled: bool,
    /// This job alone, whatever ended it
    #[arg(long, value_name = "ID")]
    pub(crate) job: Option<String>,
    /// Why.
    #[command(flatten)]
    pub(crate) reason: Reason,
    /// Whom to ask.
    #[command(flatten)]
    pub(crate) address: CoordinatorAddress,
}

impl RetrySweepArguments {
    /// Whether failed, quarantined and cancelled jobs are meant.
    pub(crate) const fn states(&self) -> (bool, bool, bool) {
        let none_named = !self.failed && !self.quarantined && !self.cancelled;
        (self.failed || none_named, self.quarantined, self.cancelled)
    }
}
