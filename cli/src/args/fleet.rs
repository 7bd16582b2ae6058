//! Arguments of `offramp workers ...`.

use clap::{Args, Subcommand};

use crate::args::{CoordinatorAddress, SelectArguments, SourceArguments};

/// What to do with workers.
#[derive(Debug, Subcommand)]
pub(crate) enum WorkersCommand {
    /// List workers, newest first: what they offer and how busy they are
    List(ListWorkersArguments),
    /// Have a worker claim nothing more, finish its running jobs, and end
    Drain(DrainArguments),
}

/// Arguments of `offramp workers list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp workers list --coordinator http://node0:7717
  offramp workers list --all --database sqlite:results.db
  offramp workers list --where 'device = cuda and n_leased = 0'
  offramp workers list --output json")]
pub(crate) struct ListWorkersArguments {
    /// Also those that have ended
    #[arg(long)]
    pub(crate) all: bool,
    /// Which rows.
    #[command(flatten)]
    pub(crate) select: SelectArguments,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

/// Arguments of `offramp workers drain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp workers drain gpu-07 --coordinator http://node0:7717
  offramp workers drain gpu-07 --give-back     (its running jobs begin anew elsewhere)

The worker hears of it with its next heartbeat, and exits with 0 when its last job is over. Draining
it again changes nothing; with --give-back it hurries one that drains already.")]
pub(crate) struct DrainArguments {
    /// The worker's name, as `offramp workers list` shows it
    #[arg(value_name = "NAME")]
    pub(crate) worker: String,
    /// Don't wait for its running jobs: give them back at once
    #[arg(long)]
    pub(crate) give_back: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub(crate) address: CoordinatorAddress,
}
