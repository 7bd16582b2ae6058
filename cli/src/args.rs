//! The argument tree.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use offramp_coordinator::Database;

use crate::exit::Exit;
use crate::output::Format;
use crate::text::parse_duration;

mod compare;
mod data;
mod database;
mod export;
mod fleet;
mod job;
mod plan;
mod plot;
mod policy;
mod report;
mod reproduce;
mod results;
mod select;
mod serve;
mod sweep;
mod up;

pub(crate) use compare::{CompareArguments, DiffSweepsArguments, PatternsArguments};
#[cfg(test)]
pub(crate) use data::DataFolder;
pub(crate) use data::{DataCommand, FetchDataArguments, ListDataArguments, VerifyDataArguments};
pub(crate) use database::{DatabaseParser, parse_database, without_password};
pub(crate) use export::{ExportArguments, ExportFormat, ImportArguments, ImportSource};
pub(crate) use fleet::{DrainArguments, ListWorkersArguments, WorkersCommand};
pub(crate) use job::{
    ControlJobArguments, DeleteJobArguments, ExplainJobArguments, JobCommand, ListJobsArguments, PrioritizeJobArguments, RetryJobArguments,
    ShowJobArguments,
};
pub(crate) use plan::PlanArguments;
pub(crate) use plot::{CostAxis, PictureArguments, PlotCommand, PlotHistoryArguments, PlotJobsArguments, axis as plot_axis};
pub(crate) use policy::PolicyArguments;
pub(crate) use report::ReportArguments;
pub(crate) use reproduce::ReproduceArguments;
pub(crate) use results::{CostChoice, FrontierArguments, GroupingChoice, ResultsArguments};
pub(crate) use select::SelectArguments;
pub(crate) use serve::{CoordinatorArguments, OfferArguments, TrainerArguments, WorkerArguments};
pub(crate) use sweep::{
    ControlSweepArguments, DeleteSweepArguments, ListSweepsArguments, PrioritizeSweepArguments, RetrySweepArguments, ShowSweepArguments,
    SubmitArguments, SweepCommand, WaitArguments,
};
pub(crate) use up::UpArguments;

/// Where `offramp coordinator` listens, and where others look for it, unless told otherwise.
pub(crate) const DEFAULT_ADDRESS: &str = "127.0.0.1:7717";

/// The same as a URL.
pub(crate) const DEFAULT_COORDINATOR: &str = "http://127.0.0.1:7717";

/// Most slots of one worker; coordinators bound the calls that wait on one connection.
pub(crate) const MOST_SLOTS: i64 = 128;

/// Runs sweeps of multi-exit networks and keeps their accuracy-cost frontier in a database
#[derive(Debug, Parser)]
#[command(name = "offramp", version, propagate_version = true, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "\
Start here: offramp up sweeps/digits.toml

Exit codes: 0 ok; 1 error; 2 wrong arguments or sweep file; 3 coordinator unreachable; 4 nothing
found; 5 ended with failed jobs; 6 not authorised; 124 wait timed out;
130 interrupted.
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
    /// How data is written: a table for people (as wide as the terminal allows), versioned JSON, CSV, or
    /// JSON lines: an object a row (all columns)
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
    /// Submit sweeps, wait for them, look at them, steer them
    #[command(subcommand)]
    Sweep(SweepCommand),
    /// Look at jobs, find out why one is not running, steer them
    #[command(subcommand)]
    Job(JobCommand),
    /// Look at workers, and send them home
    #[command(subcommand)]
    Workers(WorkersCommand),
    /// Show the networks of a sweep file: exits, branches, costs
    Plan(PlanArguments),
    /// Show the accuracy-cost frontier of a sweep, cheapest point first
    Frontier(FrontierArguments),
    /// Show what every exit of a sweep's finished jobs reaches
    Results(ResultsArguments),
    /// Write rows of any view, whole results or the whole database to files
    Export(ExportArguments),
    /// Take results from another database or an archive
    Import(ImportArguments),
    /// Compare cells that differ in one factor alone: differences with intervals, and paired tests
    Compare(CompareArguments),
    /// Show cells over their seeds: mean, deviation, interval
    Patterns(PatternsArguments),
    /// Draw results as SVG or PNG: frontiers, curves, learning, comparisons
    #[command(subcommand)]
    Plot(PlotCommand),
    /// Write a sweep down as one HTML file: what was asked, what ran, what came of it
    Report(ReportArguments),
    /// List, fetch and verify datasets
    #[command(subcommand)]
    Data(DataCommand),
    /// Evaluate exit policies of a finished job from its per-sample records, without training
    Policy(PolicyArguments),
    /// Train a finished job again on this machine, and compare digit for digit
    Reproduce(ReproduceArguments),
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
    #[arg(long, value_name = "URL", value_parser = DatabaseParser, conflicts_with = "coordinator")]
    #[arg(help = "Read this database directly, sqlite:PATH or postgres://...; no coordinator is needed, and a running one is not \
        disturbed [default: $OFFRAMP_DATABASE, or offramp.db in the user's data folder]")]
    pub(crate) database: Option<Database>,
    /// The coordinator to ask.
    #[arg(long, value_name = "URL", value_parser = parse_coordinator)]
    #[arg(help = "Ask this coordinator instead of reading a database [default: $OFFRAMP_COORDINATOR]")]
    pub(crate) coordinator: Option<String>,
}

/// The coordinator that a command asks to change something.
#[derive(Debug, Clone, Args)]
pub(crate) struct CoordinatorAddress {
    /// The coordinator to ask
    #[arg(long, value_name = "URL", value_parser = parse_coordinator, default_value = DEFAULT_COORDINATOR)]
    #[arg(env = "OFFRAMP_COORDINATOR", hide_env_values = true)]
    pub(crate) coordinator: String,
}

/// Why something is changed.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Reason {
    /// Why, for the history that `offramp job show` and the database tell
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
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
    /// Folder where jobs leave checkpoints, from which they go on on this machine after an interruption [default: checkpoints in the user's
    /// data folder]
    #[arg(long, value_name = "DIR", env = "OFFRAMP_CHECKPOINT_DIR", hide_env_values = true)]
    pub(crate) checkpoint_dir: Option<PathBuf>,
    /// How long a job trains at least from one checkpoint to the next
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = parse_duration)]
    pub(crate) checkpoint_every: Duration,
    /// Folder that per-sample records are kept in [default: artifacts in the user's data folder; simulated ones are not kept]
    #[arg(long, value_name = "DIR", env = "OFFRAMP_ARTIFACTS_DIR", hide_env_values = true)]
    pub(crate) artifacts_dir: Option<PathBuf>,
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
#[command(after_help = "\
Examples:
  offramp doctor
  offramp doctor --database postgres://offramp@db0/offramp --data-dir /data")]
pub(crate) struct DoctorArguments {
    /// Database to look at, sqlite:PATH or postgres://... [default: offramp.db in the user's data folder]
    #[arg(long, value_name = "URL", value_parser = DatabaseParser, env = "OFFRAMP_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<Database>,
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
    fn every_command_has_examples_that_are_not_broken_in_a_terminal() {
        fn check(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let is_leaf = command.get_subcommands().next().is_none();
            assert!(!is_leaf || help.starts_with("Examples:\n  offramp "), "{} has no examples", command.get_name());
            let too_long: Vec<&str> = help.lines().filter(|line| line.chars().count() > 100).collect();
            assert!(too_long.is_empty(), "{}: {too_long:?}", command.get_name());
            command.get_subcommands().filter(|command| !command.is_hide_set()).for_each(check);
        }
        check(&Arguments::command());
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
        let without_changes = ["offramp", "sweep", "show", "--watch", "--database", "sqlite:a.db"];
        assert_eq!(refused(&without_changes), clap::error::ErrorKind::ArgumentConflict);
    }

    #[test]
    fn the_default_coordinator_is_where_one_listens() {
        assert_eq!(parse_coordinator(DEFAULT_ADDRESS), Ok(DEFAULT_COORDINATOR.to_owned()));
    }

    fn parsed(words: &[&str]) -> Result<Command, clap::error::ErrorKind> {
        Arguments::try_parse_from(words).map(|arguments| arguments.command).map_err(|error| error.kind())
    }

    #[test]
    fn retrying_means_failed_jobs_unless_told_otherwise() {
        let chosen = |words: &[&str]| match parsed(&[&["offramp", "sweep", "retry"], words].concat()) {
            Ok(Command::Sweep(SweepCommand::Retry(arguments))) => Ok(arguments.states()),
            Ok(other) => panic!("{other:?}"),
            Err(kind) => Err(kind),
        };
        assert_eq!(chosen(&["last"]), Ok((true, false, false)));
        assert_eq!(chosen(&["last", "--quarantined"]), Ok((false, true, false)));
        assert_eq!(chosen(&["last", "--failed", "--cancelled"]), Ok((true, false, true)));
        assert!(chosen(&["--job", "0123"]).is_ok());
        assert_eq!(chosen(&[]), Err(clap::error::ErrorKind::MissingRequiredArgument));
        assert_eq!(chosen(&["last", "--job", "0123"]), Err(clap::error::ErrorKind::ArgumentConflict));
        assert_eq!(chosen(&["--job", "0123", "--failed"]), Err(clap::error::ErrorKind::ArgumentConflict));
    }

    #[test]
    fn priorities_may_be_negative_and_are_bounded() {
        let priority = |n: &str| match parsed(&["offramp", "sweep", "priority", "last", n]) {
            Ok(Command::Sweep(SweepCommand::Priority(arguments))) => Ok(arguments.priority),
            Ok(other) => panic!("{other:?}"),
            Err(kind) => Err(kind),
        };
        assert_eq!(priority("-100"), Ok(-100));
        assert_eq!(priority("100"), Ok(100));
        assert_eq!(priority("101"), Err(clap::error::ErrorKind::ValueValidation));
        assert_eq!(priority("-101"), Err(clap::error::ErrorKind::ValueValidation));
    }

    #[test]
    fn what_would_stop_work_names_its_sweep() {
        for verb in ["pause", "resume", "cancel", "retry", "delete"] {
            let refused = parsed(&["offramp", "sweep", verb]).map(drop);
            assert_eq!(refused, Err(clap::error::ErrorKind::MissingRequiredArgument), "{verb}");
        }
    }
}
