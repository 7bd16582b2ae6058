//! Arguments of `offramp policy`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use offramp_domain::evaluation::FIXED;
use offramp_domain::job::Policy;

use crate::args::{SelectArguments, SourceArguments};

/// Arguments of `offramp policy`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp policy 0123456789ab
  offramp policy 0123456789ab --policy entropy --setting 0.3
  offramp policy 0123456789ab --budget-macs 20000000
  offramp policy --records /mnt/gpu-07/artifacts/0123...-1.parquet --output csv > points.csv

Policies are evaluated from the job's per-sample records: nothing is trained, and no GPU is needed.
Settings are chosen on the calibration split; accuracy and cost are of the test split. The records
are on the machine of the worker that trained the job; elsewhere, copy the file and name it.")]
pub(crate) struct PolicyArguments {
    /// The job's id, or a prefix that no other job has
    #[arg(value_name = "ID", required_unless_present = "records")]
    pub(crate) job: Option<String>,
    /// Only this policy [default: all; with --budget-macs, budgeted]
    #[arg(long, value_name = "POLICY", value_parser = policy_names())]
    pub(crate) policy: Option<String>,
    /// At this setting alone: a threshold, exits that agree for `patience`, the quotas' ratio for `budgeted`, an exit for `fixed`
    #[arg(long, value_name = "X", allow_negative_numbers = true, requires = "policy", conflicts_with = "budget_macs")]
    pub(crate) setting: Option<f64>,
    /// At the setting with which a calibration sample is expected to cost this many MACs, or as little less as it can
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) budget_macs: Option<u64>,
    /// This file of records, rather than the one that the database names
    #[arg(long, value_name = "FILE")]
    pub(crate) records: Option<PathBuf>,
    /// Which rows.
    #[command(flatten)]
    pub(crate) select: SelectArguments,
    /// Where to look the job up.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

fn policy_names() -> PossibleValuesParser {
    PossibleValuesParser::new(std::iter::once(FIXED).chain(Policy::ALL.map(Policy::as_str)))
}
