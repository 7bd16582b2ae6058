//! What each command does, one file each.

use std::path::Path;

use offramp_domain::sweep::Sweep;

use crate::args::{Arguments, Command, JobCommand, SweepCommand, WorkersCommand};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Format, Rows};
use control::Verb;

pub(crate) mod band;
mod capabilities;
pub(crate) mod compare;
mod control;
mod coordinator;
pub(crate) mod data;
mod doctor;
pub(crate) mod export;
mod fleet;
pub(crate) mod import;
pub(crate) mod indicators;
mod job;
mod listing;
mod plan;
pub(crate) mod plot;
mod policy;
mod reached;
mod removal;
pub(crate) mod report;
mod reproduce;
mod results;
mod submit;
mod sweep;
mod trainer;
mod training;
mod up;
mod wait;
mod watch;
mod worker;

/// Does what the command line asks for.
///
/// # Errors
/// When it cannot be done; the failure has the message and the exit code.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    if let Command::Trainer(arguments) = &arguments.command {
        return trainer::run(arguments);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(anyhow::Error::new(error).context("cannot start threads")))?;
    let exit = runtime.block_on(dispatch(&arguments.command, arguments.global.output));
    // What is still running then has nothing left to save.
    runtime.shutdown_background();
    exit
}

async fn dispatch(command: &Command, format: Format) -> Result<Exit, Failure> {
    match command {
        Command::Up(arguments) => up::run(arguments, format).await,
        Command::Coordinator(arguments) => coordinator::run(arguments, format).await,
        Command::Worker(arguments) => worker::run(arguments).await,
        Command::Sweep(SweepCommand::Submit(arguments)) => submit::run(arguments, format).await,
        Command::Sweep(SweepCommand::Wait(arguments)) => wait::run(arguments, format).await,
        Command::Sweep(SweepCommand::List(arguments)) => sweep::list(arguments, format).await,
        Command::Sweep(SweepCommand::Show(arguments)) => sweep::show(arguments, format).await,
        Command::Sweep(SweepCommand::Diff(arguments)) => compare::diff_sweeps(arguments, format).await,
        Command::Sweep(SweepCommand::Pause(arguments)) => control::sweep(arguments, Verb::Pause, format).await,
        Command::Sweep(SweepCommand::Resume(arguments)) => control::sweep(arguments, Verb::Resume, format).await,
        Command::Sweep(SweepCommand::Cancel(arguments)) => control::sweep(arguments, Verb::Cancel, format).await,
        Command::Sweep(SweepCommand::Priority(arguments)) => control::prioritize_sweep(arguments, format).await,
        Command::Sweep(SweepCommand::Retry(arguments)) => control::retry(arguments, format).await,
        Command::Sweep(SweepCommand::Delete(arguments)) => removal::sweep(arguments, format).await,
        Command::Job(JobCommand::List(arguments)) => job::list(arguments, format).await,
        Command::Job(JobCommand::Show(arguments)) => job::show(arguments, format).await,
        Command::Job(JobCommand::Explain(arguments)) => job::explain(arguments, format).await,
        Command::Job(JobCommand::Retry(arguments)) => control::retry_job(arguments, format).await,
        Command::Job(JobCommand::Delete(arguments)) => removal::job(arguments, format).await,
        Command::Job(JobCommand::Cancel(arguments)) => control::cancel_job(arguments, format).await,
        Command::Job(JobCommand::Priority(arguments)) => control::prioritize_job(arguments, format).await,
        Command::Workers(WorkersCommand::List(arguments)) => fleet::list(arguments, format).await,
        Command::Workers(WorkersCommand::Drain(arguments)) => fleet::drain(arguments, format).await,
        Command::Plot(command) => plot::run(command).await,
        Command::Plan(arguments) => plan::run(arguments, format),
        Command::Frontier(arguments) => results::frontier(arguments, format).await,
        Command::Results(arguments) => results::results(arguments, format).await,
        Command::Export(arguments) => export::run(arguments).await,
        Command::Import(arguments) => import::run(arguments, format).await,
        Command::Compare(arguments) => compare::compare(arguments, format).await,
        Command::Patterns(arguments) => compare::patterns(arguments, format).await,
        Command::Report(arguments) => report::run(arguments).await,
        Command::Data(command) => data::run(command, format).await,
        Command::Policy(arguments) => policy::run(arguments, format).await,
        Command::Reproduce(arguments) => reproduce::run(arguments, format).await,
        Command::Doctor(arguments) => doctor::run(arguments, format).await,
        Command::Trainer(arguments) => trainer::run(arguments),
    }
}

/// Writes the rows of a list. An empty list is an answer, too: JSON and CSV get it as such, stderr gets `nothing`,
/// and the exit code says so.
fn write_list(format: Format, rows: &Rows, nothing: &str) -> Result<Exit, Failure> {
    if rows.rows.is_empty() {
        output::say(nothing);
    }
    if !rows.rows.is_empty() || format != Format::Table {
        output::write_rows(format, rows)?;
    }
    Ok(if rows.rows.is_empty() { Exit::NothingMatched } else { Exit::Ok })
}

/// A sweep file, read and checked.
#[derive(Debug)]
struct SweepFile {
    /// As it is written.
    text: String,
    /// Its name, for messages.
    name: String,
    /// What it says.
    sweep: Sweep,
}

/// The largest sweep file that is read at all; the parser's own limit is below.
const MAX_SWEEP_FILE_BYTES: u64 = 16 << 20;

/// Reads and checks a sweep file.
///
/// # Errors
/// Exit code 2, with every problem of the file and its place, or why there is no file to read.
fn read_sweep_file(path: &Path) -> Result<SweepFile, Failure> {
    let name = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        let is_missing = error.kind() == std::io::ErrorKind::NotFound;
        let failure = Failure::with_exit(Exit::Usage, anyhow::Error::new(error).context(format!("cannot read sweep file `{name}`")));
        if is_missing { failure.hint("check the path; `sweeps/digits.toml` is the demonstration") } else { failure }
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_SWEEP_FILE_BYTES {
        return Err(Failure::with_exit(Exit::Usage, anyhow::anyhow!("`{name}` has {size} bytes, too many for a sweep file")));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    match offramp_domain::sweep::parse(&text) {
        Ok(sweep) => Ok(SweepFile { text, name, sweep }),
        Err(problems) => Err(Failure::Problems(offramp_domain::problem::render(&problems, &name, &text))),
    }
}
