//! `offramp up`: a sweep from its file to its frontier, in one process tree.
//!
//! The parts are the real ones: a coordinator on a loopback port, a worker that leases over gRPC, trainer processes.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use offramp_coordinator::Config;
use offramp_proto::v1;
use offramp_worker::run::Shutdown;
use tokio_util::sync::CancellationToken;

use crate::args::{TrainerKind, UpArguments};
use crate::client::Client;
use crate::commands::training::{self, Training};
use crate::commands::wait::finished;
use crate::commands::{SweepFile, coordinator, read_sweep_file, worker};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::{follow, is_finished};
use crate::output::{self, Format, Rows, table, view};
use crate::progress::{Progress, n_final};
use crate::signals::Signals;
use crate::text::{count, escape_control, shell_word};
use crate::{environment, source};

/// Longest silence of a trainer, which shows signs of life in every step.
const HANG_AFTER: Duration = Duration::from_mins(10);
/// Heartbeats carry progress, and somebody is looking.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The coordinator is in this process: it works, or it won't without help. A disk that is full or
/// busy for a moment is forgiven.
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);

/// Runs a sweep.
pub(crate) async fn run(arguments: &UpArguments, format: Format) -> Result<Exit, Failure> {
    let file = read_sweep_file(&arguments.sweep)?;
    let training = training::prepare(&arguments.training, arguments.slots)?;
    let place = Place::find(arguments.database.as_ref())?;
    let signals = Signals::listen()?;
    let stop = CancellationToken::new();
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = Config { heartbeat: HEARTBEAT, ..coordinator::config(loopback, &place.database) };
    let running = coordinator::start(config, stop.clone()).await?;
    output::say(&format!("database {}", place.database.display()));

    let url = format!("http://{}", running.address);
    let trained = match Client::connect(&url).await {
        Ok(mut client) => sweep(&mut client, &url, file, (training, arguments.training.trainer), &signals).await,
        Err(failure) => Err(failure),
    };
    let exit = match trained {
        Ok(Some(results)) => show(&results, &place, format),
        Ok(None) => Ok(Exit::Interrupted),
        Err(failure) => Err(failure),
    };
    stop.cancel();
    let ended = coordinator::ended(running).await;
    // What went wrong first is what is told.
    let exit = exit?;
    ended.map(|()| exit)
}

/// Where the results are kept.
struct Place {
    database: PathBuf,
    /// What reading commands need to be told to find it there.
    option: String,
}

impl Place {
    fn find(asked_for: Option<&PathBuf>) -> Result<Self, Failure> {
        let database = source::database_path(asked_for)?;
        // What is shown is copied to other folders; where there is no current folder, it stays as it was given.
        let database = std::path::absolute(&database).unwrap_or(database);
        let is_default = environment::user_data_dir().is_some_and(|folder| folder.join(source::DATABASE_FILE) == database);
        let named = format!("sqlite:{}", database.display());
        let option = if is_default { String::new() } else { format!(" --database {}", shell_word(&named)) };
        Ok(Self { database, option })
    }
}

/// What a finished sweep came to.
struct Results {
    sweep: v1::SweepRow,
    /// How commands call it: `last`, or its id when it isn't.
    selector: String,
    frontier: Vec<v1::FrontierRow>,
    patterns: Vec<v1::PatternRow>,
}

/// Submits a sweep, has it trained unless it is finished, and fetches its results. `None` where a signal came first.
async fn sweep(
    client: &mut Client,
    url: &str,
    file: SweepFile,
    (training, trainer): (Training, TrainerKind),
    signals: &Signals,
) -> Result<Option<Results>, Failure> {
    // Before anything is submitted, and where nothing is left to train as well: another kind of results must not pass for this trainer's.
    client.try_session(introduction(&training, trainer)).await?;
    let request = v1::SubmitSweepRequest { text: file.text, file_name: file.name, dry_run: false, retry_failed: true };
    let answer = client.submit(request).await?;
    let row = answer.sweep.ok_or_else(|| Failure::new(anyhow::anyhow!("the coordinator's answer has no sweep")))?;
    let (id, name, n_jobs) = (row.sweep.to_string(), escape_control(&row.name), count(answer.n_jobs, "job"));
    match answer.n_retried_jobs {
        0 => {}
        1 => output::say("1 failed job is tried again"),
        n => output::say(&format!("{n} failed jobs are tried again")),
    }
    if is_finished(&row) {
        output::say(&format!("sweep `{name}` is finished already: {n_jobs}, nothing to train"));
    } else {
        let n_done = match n_final(&row) {
            0 => String::new(),
            n => format!(", {n} of them done already"),
        };
        let slots = count(training.n_slots as u64, "slot");
        output::say(&format!("sweep `{name}`: {n_jobs}{n_done}; {slots}, trainer {}", trainer.as_str()));
        if !train(client, url, row.sweep, training, signals).await? {
            say_how_to_go_on(client, &id).await;
            return Ok(None);
        }
    }
    let sweep = client.sweep(&id).await?.sweep.unwrap_or(row);
    let frontier = client.frontier(&id, v1::CostMetric::MacsCascade).await?.points;
    let patterns = client.patterns(&id).await?.patterns;
    let is_last = client.sweeps(1).await?.first().is_some_and(|newest| newest.sweep == sweep.sweep);
    Ok(Some(Results { sweep, selector: if is_last { "last".to_owned() } else { id }, frontier, patterns }))
}

/// How this command's worker is going to introduce itself.
fn introduction(training: &Training, trainer: TrainerKind) -> v1::OpenSessionRequest {
    v1::OpenSessionRequest {
        worker: worker::default_name(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        n_slots: training.n_slots as u32,
        // The device is not in it: all of a kind go together.
        trainer: trainer.as_str().to_owned(),
        embedded: true,
    }
}

/// Works until the sweep is finished, and says whether it is: a signal ends the work early, in good order.
async fn train(client: &mut Client, url: &str, sweep: i64, training: Training, signals: &Signals) -> Result<bool, Failure> {
    let shutdown = Shutdown::default();
    let config = worker::Config {
        coordinator: url.to_owned(),
        name: worker::default_name(),
        n_slots: training.n_slots as u32,
        trainer: training.command,
        // What other sweeps in the database have left to do is not what was asked for.
        sweep: Some(sweep),
        embedded: true,
        give_up_after: GIVE_UP_AFTER,
        hang_after: HANG_AFTER,
    };
    let mut worker = tokio::spawn(worker::work(config, shutdown.clone()));
    let mut progress = Progress::new(output::is_interactive());
    let sweep = sweep.to_string();
    let end = tokio::select! {
        status = follow(client, &sweep, &mut progress) => End::Followed(status.map(drop)),
        ended = &mut worker => End::Worker(worker::joined(ended)),
        () = signals.first.cancelled() => End::Interrupted,
    };
    progress.clear();
    match end {
        End::Worker(ended) => {
            ended?;
            Err(Failure::new(anyhow::anyhow!("the worker ended before the sweep was finished")))
        }
        End::Followed(followed) => {
            shutdown.drain.cancel();
            let ended = worker::joined(worker.await);
            followed.and(ended).map(|()| true)
        }
        End::Interrupted => {
            output::say("interrupted: giving the running jobs back (once more ends at once)");
            shutdown.drain.cancel();
            worker::joined(worker.await).map(|()| false)
        }
    }
}

/// What ended the training.
enum End {
    Followed(Result<(), Failure>),
    Worker(Result<(), Failure>),
    Interrupted,
}

async fn say_how_to_go_on(client: &mut Client, sweep: &str) {
    let done = match client.sweep(sweep).await {
        Ok(v1::SweepStatus { sweep: Some(row), .. }) => format!("{} of {} jobs are done", n_final(&row), row.n_jobs),
        _ => "what is done is kept".to_owned(),
    };
    output::say(&format!("{done}; to go on, run the same command again:\n  {}", environment::command_line()));
}

/// Writes the results, and says how to go on from them.
fn show(results: &Results, place: &Place, format: Format) -> Result<Exit, Failure> {
    let frontier = Rows::new(&view::FRONTIER, &results.frontier);
    if format == Format::Table {
        output::write(&summary(results, &frontier, place, output::table_width()))?;
    } else {
        output::write_rows(format, &frontier)?;
    }
    Ok(finished(Some(&results.sweep), &place.option))
}

fn summary(results: &Results, frontier: &Rows, place: &Place, width: Option<u16>) -> String {
    let mut text = String::new();
    let infallible = "a String takes any text";
    if results.frontier.is_empty() {
        text.push_str("No job has a result, so there is no frontier.\n");
    } else {
        let patterns = Rows::new(&view::PATTERNS, &results.patterns);
        writeln!(text, "Frontier (expected MACs of a prediction, every branch on the way included)\n{}", table::render(frontier, width))
            .expect(infallible);
        writeln!(
            text,
            "Patterns (area under accuracy-vs-MACs up to twice the backbone's cost; mean and deviation over seeds)\n{}",
            table::render(&patterns, width)
        )
        .expect(infallible);
    }
    let (selector, option) = (&results.selector, &place.option);
    let path = escape_control(&shell_word(&place.database.to_string_lossy()));
    writeln!(text, "Database  {}\n", escape_control(&place.database.to_string_lossy())).expect(infallible);
    writeln!(text, "To go on:").expect(infallible);
    for line in [
        format!("offramp frontier {selector}{option}"),
        format!("offramp results {selector}{option}"),
        format!("offramp job list {selector}{option}"),
        format!("sqlite3 {path} 'select * from v_frontier where sweep = {}'", results.sweep.sweep),
    ] {
        writeln!(text, "  {line}").expect(infallible);
    }
    text
}
