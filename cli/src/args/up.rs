//! Arguments of `offramp up`.

use std::path::PathBuf;

use clap::Args;

use crate::args::{MOST_SLOTS, TrainingArguments, parse_database};

/// Arguments of `offramp up`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp up sweeps/digits.toml
  offramp up sweeps/digits.toml --database sqlite:results.db --slots 4
  offramp up sweeps/digits.toml --output csv > frontier.csv
  offramp up sweeps/digits.toml --trainer simulated --simulate epoch-ms=5 --database sqlite:simulated.db

Ctrl-C gives the running jobs back and ends; the same command goes on where it stopped. Jobs that
already have a result in the database are not trained again; those that failed are tried again. A database holds either simulated results
or real ones.")]
pub(crate) struct UpArguments {
    /// The sweep file
    #[arg(value_name = "SWEEP.toml")]
    pub(crate) sweep: PathBuf,
    /// Database to keep results in; made if there is none [default: offramp.db in the user's data folder]
    #[arg(long, value_name = "sqlite:PATH", value_parser = parse_database, env = "OFFRAMP_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<PathBuf>,
    /// Jobs to train at a time, each in a process of its own [default: one a core on the CPU, otherwise 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_SLOTS))]
    pub(crate) slots: Option<u16>,
    /// What trains, and on what.
    #[command(flatten)]
    pub(crate) training: TrainingArguments,
}
