//! Arguments of `offramp up`.

use std::path::PathBuf;

use clap::Args;
use offramp_coordinator::Database;

use crate::args::{DatabaseParser, MOST_SLOTS, OfferArguments, TrainingArguments};

/// Arguments of `offramp up`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp up sweeps/digits.toml
  offramp up sweeps/digits.toml --database sqlite:results.db --slots 4
  offramp up sweeps/digits.toml --output csv > frontier.csv
  offramp up sweeps/digits.toml --trainer simulated --simulate epoch-ms=5 --database sqlite:try.db

  offramp up sweeps/digits.toml --database postgres://offramp@db0/offramp

Ctrl-C gives the running jobs back and ends; the same command goes on where it stopped. Jobs that
already have a result in the database are not trained again; those that failed are tried again.
Where more jobs fail than the sweep file's max_failed_jobs allows, it stops with exit code 5. A
database holds either simulated results or real ones.")]
pub(crate) struct UpArguments {
    /// The sweep file
    #[arg(value_name = "SWEEP.toml")]
    pub(crate) sweep: PathBuf,
    /// Database to keep results in, sqlite:PATH or postgres://... [default: offramp.db in the user's data folder]
    #[arg(long, value_name = "URL", value_parser = DatabaseParser, env = "OFFRAMP_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<Database>,
    /// Jobs to train at a time, each in a process of its own [default: one a core on the CPU, otherwise 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_SLOTS))]
    pub(crate) slots: Option<u16>,
    /// What the slots offer.
    #[command(flatten)]
    pub(crate) offer: OfferArguments,
    /// What trains, and on what.
    #[command(flatten)]
    pub(crate) training: TrainingArguments,
}
