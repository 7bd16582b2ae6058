//! `offramp up`: a sweep from its file to its frontier, in one process tree.
//!
//! The parts are the real ones: a coordinator on a loopback port, a worker that leases over gRPC, trainer processes.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use offramp_coordinator::{Config, Database};
use offramp_domain::lifecycle::State;
use offramp_domain::placement::{Capabilities, Lack};
use offramp_domain::sweep::Sweep;
use offramp_proto::v1;
use offramp_worker::run::Shutdown;
use tokio_util::sync::CancellationToken;

use crate::args::{TrainerKind, UpArguments};
use crate::client::{Client, PATIENCE};
use crate::commands::training::{self, Training};
use crate::commands::wait::ended;
use crate::commands::{SweepFile, capabilities, coordinator, data, read_sweep_file, worker};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::{Stand, WhenBroken, follow, state_text};
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
    let capabilities = capabilities::find(&arguments.training, &arguments.offer, training.n_slots)?;
    // A simulation needs none.
    let data_dir = training::data_dir(arguments.training.data_dir.as_ref()).unwrap_or_default();
    let hands = Hands { training, trainer: arguments.training.trainer, capabilities, data_dir };
    let place = Place::find(arguments.database.as_ref())?;
    let signals = Signals::listen()?;
    let stop = CancellationToken::new();
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = Config { heartbeat: HEARTBEAT, ..coordinator::config(loopback, place.database.clone()) };
    let running = coordinator::start(config, stop.clone()).await?;
    output::say(&format!("database {}", escape_control(&place.database.name())));

    let url = format!("http://{}", running.address);
    let trained = match Client::new(&url, PATIENCE) {
        Ok(client) => sweep(&client, &url, file, hands, &signals).await,
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

/// What trains.
#[derive(Debug)]
struct Hands {
    training: Training,
    trainer: TrainerKind,
    capabilities: Capabilities,
    data_dir: PathBuf,
}

impl Hands {
    /// What to do about something that is lacking.
    fn remedy(&self, lack: &Lack) -> String {
        match lack {
            Lack::Device { needed, .. } => format!("name a device of that kind, as in `--device {}`", needed.as_str()),
            Lack::Memory { found: None, .. } => "say how much a slot has with --memory-mib".to_owned(),
            Lack::Memory { found: Some(_), .. } => "share the memory between fewer --slots, or correct it with --memory-mib".to_owned(),
            Lack::Dataset(name) => data::remedy(name, &self.data_dir),
            Lack::Label(label) => format!("if it is true of this machine, add `--label {}`", escape_control(&shell_word(label))),
        }
    }
}

/// Where the results are kept.
struct Place {
    database: Database,
    /// What reading commands need to be told to find it there.
    option: String,
}

impl Place {
    fn find(asked_for: Option<&Database>) -> Result<Self, Failure> {
        let database = match source::database(asked_for)? {
            // What is shown is copied to other folders; where there is no current folder, it stays as it was given.
            Database::Sqlite(path) => Database::Sqlite(std::path::absolute(&path).unwrap_or(path)),
            other @ Database::Postgres(..) => other,
        };
        let default = environment::user_data_dir().map(|folder| Database::Sqlite(folder.join(source::DATABASE_FILE)));
        let option =
            if default.as_ref() == Some(&database) { String::new() } else { format!(" --database {}", shell_word(&database.to_string())) };
        Ok(Self { database, option })
    }

    /// A command that asks the database itself.
    fn query(&self, statement: &str) -> String {
        match &self.database {
            Database::Sqlite(path) => format!("sqlite3 {} '{statement}'", shell_word(&path.to_string_lossy())),
            Database::Postgres(..) => format!("psql {} -c '{statement}'", shell_word(&self.database.to_string())),
        }
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
async fn sweep(client: &Client, url: &str, file: SweepFile, hands: Hands, signals: &Signals) -> Result<Option<Results>, Failure> {
    // Before anything is submitted, and where nothing is left to train as well: another kind of results must not pass for this trainer's.
    client.try_session(introduction(&hands)).await?;
    let by = environment::user_at_host();
    let request = v1::SubmitSweepRequest { text: file.text.clone(), file_name: file.name.clone(), dry_run: false, retry_failed: true, by };
    let answer = client.submit(request).await?;
    let row = answer.sweep.ok_or_else(|| Failure::new(anyhow::anyhow!("the coordinator's answer has no sweep")))?;
    let row = resumed(client, row).await?;
    let (id, name, n_jobs) = (row.sweep.to_string(), escape_control(&row.name), count(answer.n_jobs, "job"));
    match answer.n_retried_jobs {
        0 => {}
        1 => output::say("1 failed job is tried again"),
        n => output::say(&format!("{n} failed jobs are tried again")),
    }
    if Stand::of(&row) == Stand::Over {
        output::say(&format!("sweep `{name}` is {} already: {n_jobs}, nothing to train", escape_control(&row.state)));
    } else {
        let n_done = match n_final(&row) {
            0 => String::new(),
            n => format!(", {n} of them done already"),
        };
        require(client, &file.sweep, &id, &hands).await?;
        let slots = count(hands.training.n_slots as u64, "slot");
        output::say(&format!("sweep `{name}`: {n_jobs}{n_done}; {slots}, trainer {}", hands.trainer.as_str()));
        if !train(client, url, row.sweep, hands, signals).await? {
            say_how_to_go_on(client, &id).await;
            return Ok(None);
        }
    }
    let sweep = client.sweep(&id).await?.sweep.unwrap_or(row);
    let frontier = client.frontier(&id, v1::Grouping::Dataset, v1::CostMetric::MacsCascade).await?.points;
    let patterns = client.patterns(&id).await?.patterns;
    let is_last = client.sweeps(1).await?.first().is_some_and(|newest| newest.sweep == sweep.sweep);
    Ok(Some(Results { sweep, selector: if is_last { "last".to_owned() } else { id }, frontier, patterns }))
}

/// Goes on with a sweep that was paused: whoever runs it now wants it to run.
async fn resumed(client: &Client, row: v1::SweepRow) -> Result<v1::SweepRow, Failure> {
    if !matches!(Stand::of(&row), Stand::Paused | Stand::Broken) {
        return Ok(row);
    }
    output::say(&format!("sweep `{}` was {}; going on with it", escape_control(&row.name), state_text(&row)));
    let (by, reason) = (environment::user_at_host(), "offramp up".to_owned());
    let request = v1::ControlSweepRequest { sweep: row.sweep.to_string(), by, reason };
    Ok(client.resume_sweep(request).await?.sweep.unwrap_or(row))
}

/// Most jobs that are looked at before the work begins; a sweep with more has many of each kind.
const MOST_JOBS_LOOKED_AT: u32 = 10_000;

/// Makes sure that this machine can run what is left to do: nobody else might.
async fn require(client: &Client, sweep: &Sweep, id: &str, hands: &Hands) -> Result<(), Failure> {
    let lacks: HashMap<String, Vec<Lack>> = sweep
        .runs()
        .map(|run| (run.first.config.dataset.clone(), sweep.requirements(&run.first.config).lacks(&hands.capabilities)))
        .filter(|(_, lacks)| !lacks.is_empty())
        .collect();
    if lacks.is_empty() {
        return Ok(());
    }
    for state in [State::Queued, State::Blocked] {
        let state = state.as_str().to_owned();
        let request = v1::ListJobsRequest { sweep: id.to_owned(), state, limit: MOST_JOBS_LOOKED_AT, ..Default::default() };
        // What is finished, on this machine or another, needs nothing more.
        if let Some(lacks) = client.jobs(request).await?.iter().find_map(|job| lacks.get(&job.dataset)) {
            return Err(unable(&sweep.name, lacks, hands));
        }
    }
    Ok(())
}

fn unable(sweep: &str, lacks: &[Lack], hands: &Hands) -> Failure {
    let texts: Vec<String> = lacks.iter().map(ToString::to_string).collect();
    let error = anyhow::anyhow!("this machine cannot run the jobs of sweep `{}`: {}", escape_control(sweep), texts.join("; "));
    let hints: Vec<String> = lacks.iter().map(|lack| hands.remedy(lack)).collect();
    Failure::new(error).hint(hints.join("; "))
}

/// How this command's worker is going to introduce itself.
fn introduction(hands: &Hands) -> v1::OpenSessionRequest {
    v1::OpenSessionRequest {
        worker: worker::default_name(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        n_slots: hands.training.n_slots as u32,
        // The device is not in it: all of a kind go together.
        trainer: hands.trainer.as_str().to_owned(),
        embedded: true,
        capabilities: Some(capabilities::to_wire(&hands.capabilities)),
    }
}

/// Works until the sweep is over or broken, and says whether it is: a signal ends the work early, in good order.
async fn train(client: &Client, url: &str, sweep: i64, hands: Hands, signals: &Signals) -> Result<bool, Failure> {
    let shutdown = Shutdown::default();
    let config = worker::Config {
        coordinator: url.to_owned(),
        name: worker::default_name(),
        n_slots: hands.training.n_slots as u32,
        trainer: hands.training.command,
        // What other sweeps in the database have left to do is not what was asked for.
        sweep: Some(sweep),
        embedded: true,
        capabilities: hands.capabilities,
        give_up_after: GIVE_UP_AFTER,
        hang_after: HANG_AFTER,
    };
    let mut worker = tokio::spawn(worker::work(config, shutdown.clone()));
    let mut progress = Progress::new(output::is_interactive());
    let sweep = sweep.to_string();
    let end = tokio::select! {
        status = follow(client, &sweep, WhenBroken::EndWhenIdle, &mut progress) => End::Followed(status.map(drop)),
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

async fn say_how_to_go_on(client: &Client, sweep: &str) {
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
    let go_on = |_| "the same command tries the failed ones again and goes on".to_owned();
    Ok(ended(Some(&results.sweep), &place.option, go_on))
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
    writeln!(text, "Database  {}\n", escape_control(&place.database.name())).expect(infallible);
    writeln!(text, "To go on:").expect(infallible);
    for line in [
        format!("offramp frontier {selector}{option}"),
        format!("offramp results {selector}{option}"),
        format!("offramp job list {selector}{option}"),
        escape_control(&place.query(&format!("select * from v_patterns where sweep = {}", results.sweep.sweep))),
    ] {
        writeln!(text, "  {line}").expect(infallible);
    }
    text
}

#[cfg(test)]
mod tests {
    use offramp_domain::placement::{Datasets, DeviceKind, Requirements};
    use offramp_worker::TrainerCommand;

    use super::*;

    fn hands() -> Hands {
        let command = TrainerCommand { program: "offramp".into(), args: Vec::new(), env: Vec::new() };
        Hands {
            training: Training { command, n_slots: 1 },
            trainer: TrainerKind::Burn,
            capabilities: Capabilities {
                device: Some(DeviceKind::Cpu),
                memory_mib: Some(4_000),
                datasets: Datasets::Named(vec!["digits".into()]),
                labels: Vec::new(),
            },
            data_dir: "/data".into(),
        }
    }

    #[test]
    fn what_this_machine_lacks_is_said_with_its_remedies() {
        let needed =
            Requirements { device: Some(DeviceKind::Cuda), memory_mib: 8_000, dataset: "cifar10".into(), labels: vec!["rack 7".into()] };
        let failure = unable("s", &needed.lacks(&hands().capabilities), &hands());
        assert_eq!(failure.exit(), Exit::Error);
        expect_test::expect![[r"
            error: this machine cannot run the jobs of sweep `s`: device cpu, needs cuda; 4000 MiB a slot, needs 8000; no dataset `cifar10`; no label `rack 7`
            hint: name a device of that kind, as in `--device cuda`; share the memory between fewer --slots, or correct it with --memory-mib; fetch `cifar10` with `offramp data fetch cifar10 --data-dir /data`, or name another folder with --data-dir; if it is true of this machine, add `--label 'rack 7'`
        "]].assert_eq(&failure.render());
        let unknown = Hands { capabilities: Capabilities { memory_mib: None, ..hands().capabilities }, ..hands() };
        let needed = Requirements { device: None, dataset: "digits".into(), labels: Vec::new(), ..needed };
        let failure = unable("s", &needed.lacks(&unknown.capabilities), &unknown).render();
        assert!(failure.contains("hint: say how much a slot has with --memory-mib"), "{failure}");
    }

    #[test]
    fn a_database_is_asked_with_its_own_program() {
        let place = |url: &str| Place { database: url.parse().unwrap(), option: String::new() };
        assert_eq!(place("sqlite:/srv/my results.db").query("select 1"), "sqlite3 '/srv/my results.db' 'select 1'");
        let postgres = place("postgres://u@h:5432/d");
        assert_eq!(postgres.query("select 1"), format!("psql {} -c 'select 1'", shell_word(&postgres.database.to_string())));
    }
}
