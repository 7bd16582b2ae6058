//! Arguments of the commands that read jobs and results.

use clap::{Args, Subcommand, ValueEnum};
use offramp_coordinator::store::CostMetric;

use crate::args::SourceArguments;

/// What to look at.
#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// List jobs, in the sweep's order
    List(ListJobsArguments),
    /// Show one job: configuration, attempts, learning curve, exits, operating points
    Show(ShowJobArguments),
}

/// Arguments of `offramp job list`.
#[derive(Debug, Args)]
pub(crate) struct ListJobsArguments {
    /// The sweep: `last`, an id, or a name [default: every job in the database]
    #[arg(value_name = "SWEEP")]
    pub(crate) sweep: Option<String>,
    /// Only jobs in this state
    #[arg(long, value_enum, value_name = "STATE")]
    pub(crate) state: Option<StateFilter>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// Leave out this many at the start
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) offset: u64,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

/// A job's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateFilter {
    /// Waits for a worker
    Queued,
    /// A worker is on it
    Leased,
    /// Has its result
    Succeeded,
    /// Failed as often as it may
    Failed,
    /// Its loss became NaN or infinite
    Diverged,
}

impl StateFilter {
    /// As the database writes it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Diverged => "diverged",
        }
    }
}

/// Arguments of `offramp job show`.
#[derive(Debug, Args)]
#[command(after_help = "In CSV this is the job's row alone; JSON has everything.")]
pub(crate) struct ShowJobArguments {
    /// The job's id, or a prefix that no other job has
    #[arg(value_name = "ID")]
    pub(crate) job: String,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

/// Arguments of `offramp frontier`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp frontier
  offramp frontier digits --cost macs-selected
  offramp frontier last --output csv > frontier.csv")]
pub(crate) struct FrontierArguments {
    /// The sweep: `last`, an id, or a name
    #[arg(value_name = "SWEEP", default_value = "last")]
    pub(crate) sweep: String,
    /// What a prediction is taken to cost
    #[arg(long, value_enum, value_name = "COST", default_value = "macs")]
    pub(crate) cost: CostChoice,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

/// What a prediction is taken to cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CostChoice {
    /// MACs, every branch evaluated on the way included
    Macs,
    /// MACs, only the branch that answers included
    MacsSelected,
}

impl CostChoice {
    /// As the database says it.
    pub(crate) const fn metric(self) -> CostMetric {
        match self {
            Self::Macs => CostMetric::MacsCascade,
            Self::MacsSelected => CostMetric::MacsSelected,
        }
    }
}

/// Arguments of `offramp results`.
#[derive(Debug, Args)]
pub(crate) struct ResultsArguments {
    /// The sweep: `last`, an id, or a name
    #[arg(value_name = "SWEEP", default_value = "last")]
    pub(crate) sweep: String,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}
