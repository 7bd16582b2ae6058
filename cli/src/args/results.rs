//! Arguments of the commands that read results.

use clap::{Args, ValueEnum};
use offramp_coordinator::store::CostMetric;

use crate::args::SourceArguments;

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
#[command(after_help = "\
Examples:
  offramp results
  offramp results digits --output csv > exits.csv")]
pub(crate) struct ResultsArguments {
    /// The sweep: `last`, an id, or a name
    #[arg(value_name = "SWEEP", default_value = "last")]
    pub(crate) sweep: String,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}
