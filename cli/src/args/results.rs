//! Arguments of the commands that read results.

use clap::{Args, ValueEnum};
use offramp_coordinator::store::{CostMetric, Grouping};

use crate::args::{SelectArguments, SourceArguments};

/// Arguments of `offramp frontier`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp frontier
  offramp frontier digits --cost macs-selected
  offramp frontier digits --by pattern --cost params
  offramp frontier --global --cost latency
  offramp frontier last --where 'cost <= 40M' --sort -accuracy --limit 10
  offramp frontier last --history --output csv > history.csv
  offramp frontier last --by pattern --band
  offramp frontier last --indicators --where 'policy = max-softmax'
  offramp frontier last --output csv > frontier.csv")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct FrontierArguments {
    /// The sweep: `last`, an id, or a name
    #[arg(value_name = "SWEEP", default_value = "last")]
    pub(crate) sweep: String,
    /// The results of all sweeps together instead
    #[arg(long, conflicts_with = "sweep")]
    pub(crate) global: bool,
    /// One frontier for each dataset, or for each dataset and backbone or pattern
    #[arg(long, value_enum, value_name = "GROUPING", default_value = "dataset")]
    pub(crate) by: GroupingChoice,
    /// What a prediction is taken to cost
    #[arg(long, value_enum, value_name = "COST", default_value = "macs")]
    pub(crate) cost: CostChoice,
    /// Every point that ever was on a frontier: when it came, what displaced it, and the area under the frontier after it came
    #[arg(long)]
    pub(crate) history: bool,
    /// What the best, the median and the worst seeds attain, in place of what all seeds together do; --where chooses operating points
    #[arg(long, conflicts_with_all = ["history", "indicators", "sort", "columns", "limit", "offset"])]
    pub(crate) band: bool,
    /// Hypervolume, IGD+, additive epsilon and knee of each frontier, and of each pattern's own against it; --where chooses operating points
    #[arg(long, conflicts_with_all = ["history", "sort", "columns", "limit", "offset"])]
    pub(crate) indicators: bool,
    /// Which rows.
    #[command(flatten)]
    pub(crate) select: SelectArguments,
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
    /// Trainable parameters
    Params,
    /// Measured time to one answer; each trainer has a frontier of its own
    Latency,
}

impl CostChoice {
    /// As the database says it.
    pub(crate) const fn metric(self) -> CostMetric {
        match self {
            Self::Macs => CostMetric::MacsCascade,
            Self::MacsSelected => CostMetric::MacsSelected,
            Self::Params => CostMetric::Params,
            Self::Latency => CostMetric::LatencyUs,
        }
    }
}

/// Which points stand on one frontier together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupingChoice {
    /// Those of a dataset
    Dataset,
    /// Those of a dataset and a backbone
    Backbone,
    /// Those of a dataset and a budget pattern
    Pattern,
}

impl GroupingChoice {
    /// As the database says it.
    pub(crate) const fn grouping(self) -> Grouping {
        match self {
            Self::Dataset => Grouping::Dataset,
            Self::Backbone => Grouping::Backbone,
            Self::Pattern => Grouping::Pattern,
        }
    }
}

/// Arguments of `offramp results`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp results
  offramp results --where 'backbone = resnet56 and accuracy > 90%' --sort -accuracy
  offramp results digits --output csv > exits.csv")]
pub(crate) struct ResultsArguments {
    /// The sweep: `last`, an id, or a name
    #[arg(value_name = "SWEEP", default_value = "last")]
    pub(crate) sweep: String,
    /// Which rows.
    #[command(flatten)]
    pub(crate) select: SelectArguments,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}
