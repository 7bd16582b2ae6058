//! The argument tree.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exit::Exit;
use crate::output::Format;

mod results;
mod serve;
mod sweep;
mod up;

pub(crate) use results::{FrontierArguments, JobCommand, ListJobsArguments, ResultsArguments, ShowJobArguments};
pub(crate) use serve::{CoordinatorArguments, TrainerArguments, WorkerArguments};
pub(crate) use sweep::{ListSweepsArguments, ShowSweepArguments, SubmitArguments, SweepCommand, WaitArguments};
pub(crate) use up::UpArguments;

/// Where `offramp coordinator` listens, and where others look for it, unless told otherwise.
pub(crate) const DEFAULT_ADDRESS: &str = "127.0.0.1:7717";

/// Most slots of one worker; coordinators bound the calls that wait on one connection.
pub(crate) const MOST_SLOTS: i64 = 128;

/// Runs sweeps of multi-exit networks and keeps their accuracy-cost frontier in a database
#[derive(Debug, Parser)]
#[command(name = "offramp", version, propagate_version = true, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "\
Start here: offramp up sweeps/digits.toml

Exit codes: 0 ok; 1 error; 2 wrong arguments or sweep file; 3 coordinator unreachable; 4 no such
sweep or job; 5 finished with failed jobs; 6 not authorised; 124 wait timed out; 130 interrupted.
Data goes to stdout, everything else (errors too, in every output format) to stderr.")]
pub(crate) struct Arguments {
    /// What every command takes.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// How data is written: a table for people (as wide as the terminal allows), versioned JSON, or CSV (all columns)
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table", env = "OFFRAMP_OUTPUT", hide_env_values = true, global = true)]
    pub(crate) output: Format,
    /// How much to log.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    #[arg(help = "Log more to stderr; repeat for more still. OFFRAMP_LOG takes a filter instead, such as offramp_worker=debug")]
    pub(crate) verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a sweep on this machine: coordinator, worker and database in one go
    Up(UpArguments),
    /// Serve sweeps to workers from a database
    Coordinator(CoordinatorArguments),
    /// Lease jobs from a coordinator and train them
    Worker(WorkerArguments),
    /// Submit sweeps, wait for them, look at them
    #[command(subcommand)]
    Sweep(SweepCommand),
    /// Look at jobs
    #[command(subcommand)]
    Job(JobCommand),
    /// Show the accuracy-cost frontier of a sweep, cheapest point first
    Frontier(FrontierArguments),
    /// Show what every exit of a sweep's finished jobs reaches
    Results(ResultsArguments),
    /// Check what this machine can do: devices, database, datasets
    Doctor(DoctorArguments),
    /// Train jobs that a worker sends on standard input
    #[command(hide = true)]
    Trainer(TrainerArguments),
}

/// Where a reading command reads.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SourceArguments {
    /// The database to read.
    #[arg(long, value_name = "sqlite:PATH", value_parser = parse_database, conflicts_with = "coordinator")]
    #[arg(help = "Read this database directly; no coordinator is needed, and a running one is not disturbed \
        [default: $OFFRAMP_DATABASE, or offramp.db in the user's data folder]")]
    pub(crate) database: Option<PathBuf>,
    /// The coordinator to ask.
    #[arg(long, value_name = "URL", value_parser = parse_coordinator)]
    #[arg(help = "Ask this coordinator instead of reading a database [default: $OFFRAMP_COORDINATOR]")]
    pub(crate) coordinator: Option<String>,
}

/// What trains the jobs, and on what.
#[derive(Debug, Clone, Args)]
pub(crate) struct TrainingArguments {
    /// What trains: Burn, or a simulation that makes up plausible results
    #[arg(long, value_enum, value_name = "TRAINER", default_value = "burn")]
    pub(crate) trainer: TrainerKind,
    /// How the simulation behaves, for example `epoch-ms=20,crash=0.1`; with `--trainer simulated`
    #[arg(long, value_name = "SPEC")]
    pub(crate) simulate: Option<String>,
    /// Folder with the datasets that are not part of the program [default: data in the user's data folder]
    #[arg(long, value_name = "DIR", env = "OFFRAMP_DATA_DIR", hide_env_values = true)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Device to train on: `cpu`, `cuda`, `cuda:N` or `vulkan:N`
    #[arg(long, value_name = "DEVICE", default_value = "cpu", env = "OFFRAMP_DEVICE", hide_env_values = true)]
    pub(crate) device: String,
}

/// What trains a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TrainerKind {
    /// Trains with Burn
    Burn,
    /// Makes up deterministic learning curves, and faults on request
    Simulated,
}

impl TrainerKind {
    /// As it is written on the command line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Burn => "burn",
            Self::Simulated => "simulated",
        }
    }
}

/// Arguments of `offramp doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Database to look at [default: offramp.db in the user's data folder]
    #[arg(long, value_name = "sqlite:PATH", value_parser = parse_database, env = "OFFRAMP_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<PathBuf>,
    /// Folder with datasets to look at [default: data in the user's data folder]
    #[arg(long, value_name = "DIR", env = "OFFRAMP_DATA_DIR", hide_env_values = true)]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Reads the command line. Help, version and usage errors are printed here.
///
/// # Errors
/// The exit code, when there is nothing more to do.
pub(crate) fn parse() -> Result<Arguments, Exit> {
    Arguments::try_parse().map_err(|error| {
        // A closed pipe is not worth a message.
        let _ = error.print();
        if error.use_stderr() { Exit::Usage } else { Exit::Ok }
    })
}

/// Reads `sqlite:PATH`.
pub(crate) fn parse_database(text: &str) -> Result<PathBuf, String> {
    if let Some(path) = text.strip_prefix("sqlite:") {
        // `sqlite:///abs` and `sqlite://rel` are how other programs write the same.
        let path = path.strip_prefix("//").unwrap_or(path);
        return match path {
            "" => Err("no path after `sqlite:`".to_owned()),
            ":memory:" => Err("a database in memory ends with the process; give a path".to_owned()),
            path => Ok(PathBuf::from(path)),
        };
    }
    Err(match text.split_once(':') {
        Some(("postgres" | "postgresql", _)) => "this build knows SQLite alone; write sqlite:PATH".to_owned(),
        _ => format!("write sqlite:{text}"),
    })
}

/// Reads a coordinator's URL; `host:port` alone means `http`.
pub(crate) fn parse_coordinator(text: &str) -> Result<String, String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let uri: tonic::transport::Uri = url.parse().map_err(|_| "not a URL; write for example http://127.0.0.1:7717".to_owned())?;
    match uri.scheme_str() {
        Some("http") if uri.port_u16().is_none() => Err(format!("no port; write for example {}:7717", url.trim_end_matches('/'))),
        Some("http") => Ok(url.trim_end_matches('/').to_owned()),
        Some("https") => Err("this build does not speak TLS; write http://".to_owned()),
        scheme => Err(format!("`{}` is not a way to reach a coordinator; write http://", scheme.unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_argument_tree_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_visible_argument_has_help() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no about", command.get_name());
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                assert!(argument.get_help().is_some(), "{} {} has no help", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Arguments::command());
    }

    #[test]
    fn databases_are_sqlite_paths() {
        let path = |text: &str| Ok(PathBuf::from(text));
        assert_eq!(parse_database("sqlite:a.db"), path("a.db"));
        assert_eq!(parse_database("sqlite:/tmp/a.db"), path("/tmp/a.db"));
        assert_eq!(parse_database("sqlite:///tmp/a.db"), path("/tmp/a.db"));
        assert_eq!(parse_database("sqlite:"), Err("no path after `sqlite:`".into()));
        assert_eq!(parse_database("a.db"), Err("write sqlite:a.db".into()));
        assert!(parse_database("postgres://h/d").unwrap_err().contains("SQLite alone"));
        assert!(parse_database("sqlite::memory:").is_err());
    }

    #[test]
    fn coordinators_are_http_urls_with_a_port() {
        let url = |text: &str| Ok(text.to_owned());
        assert_eq!(parse_coordinator("127.0.0.1:7717"), url("http://127.0.0.1:7717"));
        assert_eq!(parse_coordinator("http://node1:7717/"), url("http://node1:7717"));
        assert_eq!(parse_coordinator("http://[::1]:7717"), url("http://[::1]:7717"));
        assert_eq!(parse_coordinator("http://node1"), Err("no port; write for example http://node1:7717".into()));
        assert!(parse_coordinator("https://node1:7717").unwrap_err().contains("TLS"));
        assert!(parse_coordinator("ftp://node1:7717").unwrap_err().contains("`ftp`"));
        assert!(parse_coordinator("http://a b:1").is_err());
    }

    #[test]
    fn contradictions_are_usage_errors() {
        let refused = |words: &[&str]| Arguments::try_parse_from(words).unwrap_err().kind();
        let both = ["offramp", "frontier", "--database", "sqlite:a.db", "--coordinator", "127.0.0.1:7717"];
        assert_eq!(refused(&both), clap::error::ErrorKind::ArgumentConflict);
        assert_eq!(refused(&["offramp", "up"]), clap::error::ErrorKind::MissingRequiredArgument);
        assert_eq!(refused(&["offramp", "up", "a.toml", "--slots", "0"]), clap::error::ErrorKind::ValueValidation);
    }
}
