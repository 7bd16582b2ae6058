//! Arguments of `offramp reproduce`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::args::SourceArguments;
use crate::text::parse_duration;

/// Arguments of `offramp reproduce`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp reproduce 0123456789ab
  offramp reproduce 0123456789ab --coordinator 127.0.0.1:7717 --device cpu --data-dir /data
  offramp reproduce 0123456789ab --output json > comparison.json

Trains the job from its beginning, in a process of its own, and changes nothing: neither the
database nor checkpoints nor records. Compared to the last bit: what every exit reaches on both
splits, every operating point, and the counts; not what was measured with a clock.
Exits with 0 when all is equal and with 1 when something is not.")]
pub(crate) struct ReproduceArguments {
    /// The job's id, or a prefix that no other job has
    #[arg(value_name = "ID")]
    pub(crate) job: String,
    /// Device to train on: `cpu`, `cuda`, `cuda:N` or `vulkan:N` [default: the kind that the result is of]
    #[arg(long, value_name = "DEVICE", env = "OFFRAMP_DEVICE", hide_env_values = true)]
    pub(crate) device: Option<String>,
    /// Threads to compute with [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Folder with the datasets that are not part of the program [default: data in the user's data folder]
    #[arg(long, value_name = "DIR", env = "OFFRAMP_DATA_DIR", hide_env_values = true)]
    pub(crate) data_dir: Option<PathBuf>,
    /// How the simulation behaves, for example `epoch-ms=0`, where the result is simulated
    #[arg(long, value_name = "SPEC")]
    pub(crate) simulate: Option<String>,
    /// How long the trainer may show no sign of life before it is given up
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_duration)]
    pub(crate) hang_after: Duration,
    /// Where the job and its result are.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}
