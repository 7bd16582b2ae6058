//! Arguments of every command that lists rows.

use clap::Args;

/// Which rows are wanted, what of them, and in which order.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Rows")]
pub(crate) struct SelectArguments {
    /// Only rows that this filter takes
    #[arg(long = "where", value_name = "FILTER")]
    #[arg(
        help = "Only rows that this filter takes, such as 'backbone = resnet56 and pattern.slope > 0'; operators are =, !=, <, <=, >, >=, \
        in [a, b], contains, is null, and, or, not"
    )]
    pub(crate) filter: Option<String>,
    /// Sort by these columns, such as `-accuracy,cost`: `-` puts the largest first; absent values come last
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', allow_hyphen_values = true)]
    pub(crate) sort: Vec<String>,
    /// Show these columns, in this order, also ones that tables leave out; JSON and CSV name them all
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// At most this many rows [default: as many as there are; in tables 1000, of sweeps 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
    /// Leave out this many rows at the start
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) offset: u64,
}
