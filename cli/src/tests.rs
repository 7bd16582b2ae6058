//! The parts of the command line against a real coordinator on a database of its own.

use std::net::SocketAddr;
use std::time::Duration;

use offramp_coordinator::store::{CostMetric, Grouping};
use offramp_coordinator::{Config, Database, Running};
use offramp_proto::v1;
use offramp_proto::v1::retry_jobs_request::Which;
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::args::SourceArguments;
use crate::client::Client;
use crate::environment::Stopwatch;
use crate::exit::Exit;
use crate::follow::{Stand, Updates, WhenBroken, follow};
use crate::progress::Progress;
use crate::source::{Frontiers, Source};

use laboratory::Laboratory;

mod comparisons;
mod export;
pub(crate) mod laboratory;
mod selection;

/// The newest sweeps.
pub(crate) async fn sweeps(source: &Source) -> Vec<v1::SweepRow> {
    match source {
        Source::Coordinator(client) => client.sweeps(10).await.unwrap(),
        Source::Database(reader) => reader.sweeps(10).await.unwrap(),
    }
}

/// Longer than anything here takes on a slow machine: a test that reaches it hangs.
const DEADLINE: Duration = Duration::from_mins(1);

/// Four jobs.
const SWEEP: &str = r#"
name = "small"
[axes]
backbone = "resnet8"
dataset = "digits"
pattern = "none"
seed = [0, 1, 2, 3]
[recipe]
epochs = 1
batch_size = 32
optimizer = { sgd = { lr = 0.1 } }
"#;

pub(crate) struct Coordinator {
    folder: TempDir,
    running: Running,
    stop: CancellationToken,
}

impl Coordinator {
    async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), ([127, 0, 0, 1], 0).into()).await
    }

    pub(crate) async fn start_in(folder: TempDir, listen: SocketAddr) -> Self {
        let stop = CancellationToken::new();
        let config = Config {
            listen,
            database: Self::database(&folder),
            lease: Config::LEASE,
            heartbeat: Config::HEARTBEAT,
            max_failures: Config::MAX_FAILURES,
            grace: Config::GRACE,
            quarantine_after: Config::QUARANTINE_AFTER,
            failpoints: offramp_coordinator::Failpoints::default(),
            insecure: false,
            hosts: Vec::new(),
        };
        let running = offramp_coordinator::start(config, stop.clone()).await.unwrap();
        Self { folder, running, stop }
    }

    fn database(folder: &TempDir) -> Database {
        Database::Sqlite(folder.path().join("offramp.db"))
    }

    fn url(&self) -> String {
        format!("http://{}", self.running.address)
    }

    fn client(&self) -> Client {
        Client::new(&self.url(), DEADLINE).unwrap()
    }

    /// Both ways to read the same.
    pub(crate) async fn sources(&self) -> [Source; 2] {
        let database = SourceArguments { database: Some(Self::database(&self.folder)), coordinator: None };
        let coordinator = SourceArguments { database: None, coordinator: Some(self.url()) };
        [Source::open(&database).await.unwrap(), Source::open(&coordinator).await.unwrap()]
    }

    pub(crate) async fn stop(self) -> (TempDir, SocketAddr) {
        self.stop.cancel();
        timeout(DEADLINE, self.running.join).await.unwrap().unwrap().unwrap();
        (self.folder, self.running.address)
    }
}

async fn submit(client: &Client, text: &str) -> v1::SweepRow {
    let by = "ada@lab".to_owned();
    let request = v1::SubmitSweepRequest { text: text.into(), file_name: "small.toml".into(), dry_run: false, retry_failed: false, by };
    client.submit(request).await.unwrap().sweep.unwrap()
}

fn control(sweep: i64, reason: &str) -> v1::ControlSweepRequest {
    v1::ControlSweepRequest { sweep: sweep.to_string(), by: "ada@lab".into(), reason: reason.into() }
}

async fn jobs(client: &Client, state: &str) -> Vec<v1::JobRow> {
    client.jobs(v1::ListJobsRequest { sweep: "last".into(), state: state.into(), ..v1::ListJobsRequest::default() }).await.unwrap()
}

#[tokio::test]
async fn a_database_and_its_coordinator_answer_alike() {
    let coordinator = Coordinator::start().await;
    let client = coordinator.client();
    let sweep = submit(&client, SWEEP).await;
    assert_eq!(sweep.n_jobs, 4);
    let first = jobs(&client, "").await.remove(0).job;
    let cancel = v1::ControlJobRequest { job: first.clone(), by: "ada@lab".into(), reason: "not needed".into() };
    assert!(client.cancel_job(cancel).await.unwrap().changed);
    client.pause_sweep(control(sweep.sweep, "GPUs needed")).await.unwrap();

    let [database, asked] = coordinator.sources().await;
    assert_eq!(sweeps(&database).await, sweeps(&asked).await);
    let status = database.sweep("last").await.unwrap();
    assert_eq!(status, asked.sweep("last").await.unwrap());
    assert_eq!(status.sweep.as_ref().map(|row| (row.state.as_str(), row.n_cancelled)), Some(("paused", 1)));
    for state in ["", "cancelled", "queued"] {
        let request = v1::ListJobsRequest { sweep: "small".into(), state: state.into(), limit: 10, offset: 0 };
        let listed = database.jobs(request.clone()).await.unwrap();
        assert!(!listed.is_empty());
        assert_eq!(listed, asked.jobs(request).await.unwrap());
    }
    let detail = database.job(&first).await.unwrap();
    assert_eq!(detail, asked.job(&first).await.unwrap());
    let cancelled = detail.events.iter().find(|event| event.event == "cancelled").unwrap();
    assert_eq!((cancelled.who.as_str(), cancelled.message.as_str()), ("ada@lab", "not needed"));
    let waiting = jobs(&client, "queued").await.remove(0).job;
    for job in [&first, &waiting] {
        let explanation = database.explain(job).await.unwrap();
        assert!(!explanation.reasons.is_empty());
        assert_eq!(explanation, asked.explain(job).await.unwrap());
    }
    assert_eq!(database.workers(true, 10).await.unwrap(), asked.workers(true, 10).await.unwrap());
    for source in [&database, &asked] {
        assert_eq!(source.explain("ffff").await.unwrap_err().exit(), Exit::NothingMatched);
        assert_eq!(source.sweep("nosuch").await.unwrap_err().exit(), Exit::NothingMatched);
    }
    coordinator.stop().await;
}

#[tokio::test]
async fn a_sweep_is_steered_and_says_so() {
    let coordinator = Coordinator::start().await;
    let client = coordinator.client();
    let id = submit(&client, SWEEP).await.sweep;

    let paused = client.pause_sweep(control(id, "GPUs needed")).await.unwrap().sweep.unwrap();
    assert_eq!((paused.state.as_str(), Stand::of(&paused)), ("paused", Stand::Paused));
    assert!(paused.note.contains("ada@lab") && paused.note.contains("GPUs needed"), "{}", paused.note);
    let resumed = client.resume_sweep(control(id, "")).await.unwrap().sweep.unwrap();
    assert_eq!((resumed.state.as_str(), resumed.note.as_str()), ("running", ""));

    let by = || "ada@lab".to_owned();
    let request = v1::PrioritizeSweepRequest { sweep: id.to_string(), priority: 10, by: by(), reason: String::new() };
    assert_eq!(client.prioritize_sweep(request).await.unwrap().sweep.unwrap().priority, 10);
    let job = jobs(&client, "").await.remove(0).job;
    let request = v1::PrioritizeJobRequest { job: job.clone(), priority: -3, by: by(), reason: String::new() };
    assert_eq!(client.prioritize_job(request).await.unwrap().job.unwrap().priority, 7);

    let cancelled = client.cancel_sweep(control(id, "wrong budget")).await.unwrap();
    assert_eq!(cancelled.n_changed_jobs, 4);
    assert_eq!(Stand::of(&cancelled.sweep.unwrap()), Stand::Over);
    let refused = client.resume_sweep(control(id, "")).await.unwrap_err();
    assert!(refused.render().contains("hint: `offramp sweep retry SWEEP --cancelled`"), "{}", refused.render());

    let retry = |which, cancelled| v1::RetryJobsRequest { which: Some(which), cancelled, by: by(), ..v1::RetryJobsRequest::default() };
    assert_eq!(client.retry_jobs(retry(Which::Job(job.clone()), false)).await.unwrap().n_retried_jobs, 1);
    assert_eq!(client.retry_jobs(retry(Which::Job(job), false)).await.unwrap().n_retried_jobs, 0, "it is queued already");
    assert_eq!(client.retry_jobs(retry(Which::Sweep(id.to_string()), true)).await.unwrap().n_retried_jobs, 3);
    assert_eq!(jobs(&client, "queued").await.len(), 4);
    coordinator.stop().await;
}

#[tokio::test]
async fn a_follower_waits_out_a_pause_and_ends_with_the_sweep() {
    let coordinator = Coordinator::start().await;
    let client = coordinator.client();
    let id = submit(&client, SWEEP).await.sweep;
    client.pause_sweep(control(id, "")).await.unwrap();
    let follower = tokio::spawn({
        let client = client.clone();
        async move { follow(&client, &id.to_string(), WhenBroken::End, &mut Progress::new(false)).await }
    });
    client.resume_sweep(control(id, "")).await.unwrap();
    assert!(!follower.is_finished());
    client.cancel_sweep(control(id, "")).await.unwrap();
    let last = timeout(DEADLINE, follower).await.unwrap().unwrap().unwrap().sweep.unwrap();
    assert_eq!((last.state.as_str(), last.n_cancelled), ("cancelled", 4));
    coordinator.stop().await;
}

#[tokio::test]
async fn updates_go_on_after_a_restart_however_long_there_were_none() {
    let coordinator = Coordinator::start().await;
    let client = coordinator.client();
    let id = submit(&client, SWEEP).await.sweep.to_string();
    let patience = Duration::from_millis(1);
    let mut updates = Updates::new(&client, &id, patience);
    let before = timeout(DEADLINE, updates.next()).await.unwrap().unwrap();
    let quiet = Stopwatch::start();
    while quiet.elapsed() <= patience {
        tokio::task::yield_now().await;
    }
    let (folder, address) = coordinator.stop().await;
    let again = Coordinator::start_in(folder, address).await;
    let after = timeout(DEADLINE, updates.next()).await.unwrap().unwrap();
    assert_eq!(before.sweep, after.sweep);
    again.stop().await;
}

#[tokio::test]
async fn a_finished_sweep_stays_as_it_is() {
    let coordinator = Coordinator::start().await;
    let client = coordinator.client();
    let id = submit(&client, SWEEP).await.sweep;
    for job in jobs(&client, "").await {
        client.cancel_job(v1::ControlJobRequest { job: job.job, by: "ada@lab".into(), reason: String::new() }).await.unwrap();
    }
    for answer in [client.pause_sweep(control(id, "")).await.unwrap(), client.cancel_sweep(control(id, "")).await.unwrap()] {
        let sweep = answer.sweep.unwrap();
        assert_eq!((sweep.state.as_str(), sweep.note.as_str(), answer.n_changed_jobs), ("finished", "", 0));
    }
    coordinator.stop().await;
}

#[tokio::test]
async fn nobody_to_drain_has_an_exit_code_of_its_own() {
    let coordinator = Coordinator::start().await;
    let request = v1::DrainWorkersRequest { worker: "nosuch".into(), give_back: false, by: "ada@lab".into() };
    let refused = coordinator.client().drain(request).await.unwrap_err();
    assert_eq!(refused.exit(), Exit::NothingMatched);
    assert!(refused.render().contains("`nosuch`"), "{}", refused.render());
    coordinator.stop().await;
}

#[tokio::test]
async fn results_are_the_same_from_a_database_and_its_coordinator() {
    let coordinator = Coordinator::start_in(Laboratory::new().await.into_folder(), ([127, 0, 0, 1], 0).into()).await;
    let [database, asked] = coordinator.sources().await;
    for sweep in laboratory::SWEEPS.into_iter().map(Some).chain([None]) {
        for (grouping, metric) in Grouping::ALL.into_iter().flat_map(|grouping| CostMetric::ALL.map(|metric| (grouping, metric))) {
            let frontiers = Frontiers { sweep, grouping, metric };
            assert_eq!(database.frontier(&frontiers).await.unwrap(), asked.frontier(&frontiers).await.unwrap());
            assert_eq!(database.frontier_history(&frontiers).await.unwrap(), asked.frontier_history(&frontiers).await.unwrap());
        }
    }
    for sweep in laboratory::SWEEPS {
        assert_eq!(database.results(sweep).await.unwrap(), asked.results(sweep).await.unwrap());
        assert_eq!(database.patterns(sweep).await.unwrap(), asked.patterns(sweep).await.unwrap());
        assert_eq!(database.sweep_file(sweep).await.unwrap(), asked.sweep_file(sweep).await.unwrap());
    }
    coordinator.stop().await;
}
