//! Arguments of the long-running commands: `coordinator`, `worker`, and the hidden `trainer`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use offramp_coordinator::Database;
use offramp_domain::placement::{MAX_LABEL_CHARS, is_label};

use crate::args::{DEFAULT_ADDRESS, DatabaseParser, MOST_SLOTS, TrainingArguments, parse_coordinator};
use crate::text::parse_duration;

/// Arguments of `offramp coordinator`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp coordinator
  offramp coordinator --listen 127.0.0.1:0 --database sqlite:/srv/offramp/results.db
  offramp coordinator --database postgres://offramp@db0/offramp     (several may share it)
  offramp coordinator --listen 10.0.0.5:7717 --insecure     (anybody who reaches it may use it)

Prints its address and its database on stdout once it serves. SIGTERM or Ctrl-C ends it; leases
survive a restart.")]
pub(crate) struct CoordinatorArguments {
    /// Address to serve on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_ADDRESS, env = "OFFRAMP_LISTEN", hide_env_values = true)]
    pub(crate) listen: SocketAddr,
    /// Database to serve from, sqlite:PATH or postgres://... [default: offramp.db in the user's data folder]
    #[arg(long, value_name = "URL", value_parser = DatabaseParser, env = "OFFRAMP_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<Database>,
    /// Faults on request, for tests of the whole system.
    #[arg(long, value_name = "SPEC", env = "OFFRAMP_FAILPOINTS", hide = true)]
    pub(crate) failpoints: Option<offramp_coordinator::Failpoints>,
    /// Allow an address that other machines reach, without authentication or encryption
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Another name by which HTTP requests may call it, such as that of a proxy before it; repeat for more
    #[arg(long = "host", value_name = "NAME")]
    pub(crate) hosts: Vec<String>,
    /// How long a lease lasts without a sign of life from its worker
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) lease_seconds: u32,
    /// How often workers send a sign of life; well below the lease
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(crate) heartbeat_seconds: u32,
    /// How long leases last after a time in which no worker could be heard, such as a restart
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) grace_seconds: u32,
    /// How often a job may fail before it is given up
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) max_failures: u32,
    /// On how many different workers a job may crash its trainer before it is kept from the others
    #[arg(long, value_name = "K", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) quarantine_after: u32,
}

/// Arguments of `offramp worker`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp worker --coordinator http://127.0.0.1:7717
  offramp worker --coordinator http://node0:7717 --device cuda:0 --slots 2 --data-dir /data
  offramp worker --coordinator http://node0:7717 --device cuda:0 --label a100 --memory-mib 40000
  offramp worker --coordinator 127.0.0.1:7717 --trainer simulated --simulate epoch-ms=5,crash=0.1

It is given jobs whose requirements it meets: the kind of its device, memory, labels, and datasets
under --data-dir. `offramp workers drain NAME` has it finish its jobs and end.
SIGTERM or Ctrl-C gives the running jobs back and ends; a second signal ends at once.")]
pub(crate) struct WorkerArguments {
    /// The coordinator to lease jobs from
    #[arg(long, value_name = "URL", value_parser = parse_coordinator, env = "OFFRAMP_COORDINATOR", hide_env_values = true)]
    pub(crate) coordinator: String,
    /// Jobs to train at a time, each in a process of its own [default: one a core on the CPU, otherwise 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_SLOTS))]
    pub(crate) slots: Option<u16>,
    /// Name in tables and logs [default: this machine's name and the process id]
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub(crate) name: Option<String>,
    /// How long to go on without reaching the coordinator
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    pub(crate) give_up_after: Duration,
    /// How long a trainer may show no sign of life before it is taken for hung and replaced
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_duration)]
    pub(crate) hang_after: Duration,
    /// What its slots offer.
    #[command(flatten)]
    pub(crate) offer: OfferArguments,
    /// What trains, and on what.
    #[command(flatten)]
    pub(crate) training: TrainingArguments,
}

/// What the slots of a worker offer to jobs with requirements.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct OfferArguments {
    /// Something jobs may require of a worker, such as `a100`; repeat for more
    #[arg(long = "label", value_name = "LABEL", value_parser = parse_label)]
    pub(crate) labels: Vec<String>,
    /// Memory of one slot, MiB [default: on the CPU, the machine's shared out over the slots; otherwise not known]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    pub(crate) memory_mib: Option<u64>,
}

/// Arguments of the hidden `offramp trainer`.
#[derive(Debug, Args)]
pub(crate) struct TrainerArguments {
    /// What trains, and on what.
    #[command(flatten)]
    pub(crate) training: TrainingArguments,
    /// Open the device and end
    #[arg(long)]
    pub(crate) probe: bool,
}

fn parse_name(text: &str) -> Result<String, String> {
    let n_characters = text.chars().count();
    if (1..=64).contains(&n_characters) && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 64 printable characters".to_owned())
    }
}

fn parse_label(text: &str) -> Result<String, String> {
    if is_label(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("a label has 1 to {MAX_LABEL_CHARS} printable characters, without blanks at its ends"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_sweep_files() {
        assert_eq!(parse_label("a100"), Ok("a100".into()));
        assert_eq!(parse_label("rack:7/gpu=h100"), Ok("rack:7/gpu=h100".into()));
        for wrong in ["", " a", "a\n", &"x".repeat(65)] {
            assert!(parse_label(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_are_short_and_printable() {
        assert_eq!(parse_name("gpu-07"), Ok("gpu-07".into()));
        assert!(parse_name("").is_err());
        assert!(parse_name("a\nb").is_err());
        assert!(parse_name(&"x".repeat(65)).is_err());
    }
}
