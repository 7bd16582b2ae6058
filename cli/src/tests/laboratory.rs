//! A database as a laboratory has it after a while: with the same rows in every run, made without a clock, a port or a process.
//!
//! Four sweeps, in the order in which they were submitted:
//! - `study`: two backbones, two datasets, four patterns, three seeds; finished, but for a job that failed and one that diverged.
//! - `<script>alert(1)</script>`: every pattern that solves a budget on one network; unfinished.
//! - `=1+1`: one job, paused by somebody with a hostile name; no results.
//! - `tables & "quotes"`: a part of `study` with one seed more; finished, twelve of its sixteen jobs reused.
//!
//! Results are the simulated trainer's. Whoever chooses a text (a worker's name, a message, a reason) has chosen one that would do harm where it
//! is not escaped.

use std::path::PathBuf;

use offramp_coordinator::Database;
use offramp_coordinator::store::{Answer, AttemptEnd, AttemptReport, Beat, ClaimedJob, NewSession, Request, Requester, SessionId, Store};
use offramp_domain::evaluation::Records;
use offramp_domain::job::JobConfig;
use offramp_domain::lifecycle::Limits;
use offramp_domain::outcome::{FailureKind, Outcome, Progress};
use offramp_domain::placement::{Capabilities, Datasets, DeviceKind};
use offramp_domain::sweep;
use offramp_proto::v1;
use offramp_worker::simulated::Simulated;
use offramp_worker::trainer::{Attempt, Observer, Trainer};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::args::SourceArguments;
use crate::source::Source;

/// The laboratory's first moment: 2023-11-14T22:13:20Z, unix microseconds.
pub(crate) const START_US: i64 = 1_700_000_000_000_000;

/// Names of the sweeps, in the order in which they were submitted.
pub(crate) const SWEEPS: [&str; 4] = ["study", "<script>alert(1)</script>", "=1+1", "tables & \"quotes\""];

/// A worker's name that would write to a terminal's clipboard, and that no HTML may contain as it is.
pub(crate) const HOSTILE_WORKER: &str = "<b>gpu</b>\u{1b}]52;c;aGk=\u{7}";

/// What a failed job's last attempt said.
pub(crate) const HOSTILE_MESSAGE: &str =
    "=cmd|'/C calc'!A0 </td><img src=x onerror=alert(1)> \u{202e}txt.exe \u{1b}[2J\"quoted\" & 'so'\nsecond line";

/// Why the third sweep stands still.
pub(crate) const HOSTILE_REASON: &str = "</title><script>alert(2)</script> \u{202e}\u{1b}]0;owned\u{7}";

const SECOND_US: i64 = 1_000_000;
const LEASE_US: i64 = 15 * SECOND_US;
/// Longer than any back-off.
const BACK_OFF_US: i64 = 3_600 * SECOND_US;

const STUDY: &str = r#"# What does the place of the branches cost? </pre><script>alert(3)</script>
name = "study"

[axes]
backbone = ["resnet8", "resnet14"]
dataset = ["digits", "cifar10"]
exits = { at = "stage-ends" }
budget = { levels = 6 }
pattern = ["none", "constant", { increasing = 0.6 }, { decreasing = 0.6 }]
seed = { from = 0, to = 2 }

[recipe]
epochs = 3
batch_size = 64
optimizer = { sgd = { lr = 0.1, momentum = 0.9, nesterov = true, weight_decay = 5e-4 } }

[evaluation]
policies = ["max-softmax", "patience"]
"#;

/// Every pattern that deals out a budget.
const PATTERNS: &str = r#"
name = "<script>alert(1)</script>"
[axes]
backbone = "resnet8"
dataset = "digits"
exits = { at = "stage-ends" }
budget = 0.2491
pattern = ["none", "constant", { increasing = 0.6 }, { decreasing = 0.6 }, { geometric = -1.5 }, { remaining-work = 1 }, { hump = 0.5 },
    { single = 1 }, { random = 7 }, { list = [0.5, 0.3, 0.2] }, "final-only"]
seed = 0
[branch]
rule = "joint"
[recipe]
epochs = 3
batch_size = 64
optimizer = { sgd = { lr = 0.1 } }
"#;

const NOTHING: &str = r#"
name = "=1+1"
[axes]
backbone = "resnet20"
dataset = "cifar10"
pattern = "none"
seed = 9223372036854775807
[recipe]
epochs = 3
batch_size = 64
optimizer = { sgd = { lr = 0.1 } }
"#;

/// Jobs of the second sweep that have their results.
const N_DONE_OF_PATTERNS: usize = 7;

/// A copy of the laboratory's database, which goes away with it.
#[derive(Debug)]
pub(crate) struct Laboratory {
    folder: TempDir,
}

impl Laboratory {
    /// A copy of its own for a test.
    pub(crate) async fn new() -> Self {
        static FILE: OnceCell<Vec<u8>> = OnceCell::const_new();
        let folder = tempfile::tempdir().unwrap();
        let laboratory = Self { folder };
        let file = FILE.get_or_init(made).await;
        std::fs::write(laboratory.path(), file).unwrap();
        laboratory
    }

    /// Where its file is.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("offramp.db")
    }

    pub(crate) fn database(&self) -> Database {
        Database::Sqlite(self.path())
    }

    /// As a command names it.
    pub(crate) fn arguments(&self) -> SourceArguments {
        SourceArguments { database: Some(self.database()), coordinator: None }
    }

    pub(crate) async fn source(&self) -> Source {
        Source::open(&self.arguments()).await.unwrap()
    }

    /// Gives the folder to a coordinator that serves the database.
    pub(crate) fn into_folder(self) -> TempDir {
        self.folder
    }
}

async fn made() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("offramp.db");
    let store = Store::open(&Database::Sqlite(path.clone()), Limits { max_failures: 3, quarantine_after: 2 }).await.unwrap();
    let mut bench = Bench { store: &store, now_us: START_US, sessions: Vec::new(), n_claimed: 0 };
    bench.run().await;
    // The log is in the file after this.
    store.close().await;
    std::fs::read(path).unwrap()
}

/// Who works in the laboratory, and what time it is.
struct Bench<'a> {
    store: &'a Store,
    now_us: i64,
    sessions: Vec<SessionId>,
    n_claimed: usize,
}

impl Bench<'_> {
    async fn run(&mut self) {
        let study = self.submit(STUDY).await;
        for worker in ["bench-1", HOSTILE_WORKER] {
            let session = self.store.open_session(&new_session(worker), self.now_us).await.unwrap().id;
            self.sessions.push(session);
        }
        self.work(study, usize::MAX).await;
        let patterns = self.submit(PATTERNS).await;
        self.work(patterns, N_DONE_OF_PATTERNS).await;
        let nothing = self.submit(NOTHING).await;
        let by = Requester { who: "<i>eve</i>@lab".into(), reason: HOSTILE_REASON.into() };
        self.store.pause(nothing, &by, self.later(1)).await.unwrap();
        let quotes = STUDY
            .replace("name = \"study\"", "name = 'tables & \"quotes\"'")
            .replace("[\"digits\", \"cifar10\"]", "\"digits\"")
            .replace("[\"resnet8\", \"resnet14\"]", "\"resnet8\"");
        let quotes = self.submit(&quotes.replace("to = 2", "to = 3")).await;
        self.work(quotes, usize::MAX).await;
    }

    /// The clock, so much later.
    fn later(&mut self, seconds: i64) -> i64 {
        self.now_us += seconds * SECOND_US;
        self.now_us
    }

    async fn submit(&mut self, text: &str) -> i64 {
        let sweep = sweep::parse(text).unwrap_or_else(|problems| panic!("{problems:?}"));
        let by = Requester { who: "ada@lab".into(), reason: String::new() };
        self.store.submit(&sweep, text, &by, self.later(60)).await.unwrap().sweep
    }

    /// Leases and ends up to `n_most` jobs of a sweep, one after the other.
    async fn work(&mut self, sweep: i64, n_most: usize) {
        let mut n_done = 0;
        while n_done < n_most {
            let session = self.sessions[self.n_claimed % self.sessions.len()];
            let request = Request { n_jobs: 1, sweep: Some(sweep), ..Request::new(session) };
            let claimed = self.ask(request).await.claimed.pop();
            let Some(job) = claimed else {
                if !self.wait_for_back_off(sweep).await {
                    return;
                }
                continue;
            };
            n_done += 1;
            self.n_claimed += 1;
            self.end(session, &job).await;
        }
    }

    async fn ask(&mut self, request: Request) -> offramp_coordinator::store::Reply {
        let now_us = self.later(1);
        self.store.apply(&[request], now_us, LEASE_US).await.unwrap().replies.remove(0).unwrap()
    }

    /// Whether a job is queued again after a back-off.
    async fn wait_for_back_off(&mut self, sweep: i64) -> bool {
        self.now_us += BACK_OFF_US;
        for session in self.sessions.clone() {
            let heartbeat = Request { beats: Some(Vec::new()), ..Request::new(session) };
            self.ask(heartbeat).await;
        }
        self.store.promote(self.now_us).await.unwrap();
        self.store.reader().sweep(&sweep.to_string()).await.unwrap().n_queued > 0
    }

    /// Ends a lease as the job's configuration says.
    async fn end(&mut self, session: SessionId, job: &ClaimedJob) {
        let config = JobConfig::from_json(&job.config_json).unwrap();
        let (outcome, progress) = simulate(&config, job);
        let (pattern, seed) = (config.pattern_label(), config.seed);
        let is = |backbone: &str, dataset: &str, of_pattern: &str, of_seed: u64| {
            config.backbone == backbone && config.dataset == dataset && pattern == of_pattern && seed == of_seed
        };
        let failed = |kind, message: &str| AttemptEnd::Failed { kind, message: message.into() };
        let end = if is("resnet14", "cifar10", "decreasing 0.6", 2) {
            failed(FailureKind::OutOfMemory, HOSTILE_MESSAGE)
        } else if is("resnet14", "cifar10", "increasing 0.6", 1) {
            failed(FailureKind::Diverged, "the loss became NaN in epoch 2")
        } else if is("resnet8", "digits", "constant", 1) && job.attempt.attempt == 1 {
            failed(FailureKind::Crashed, "trainer ended with signal 9")
        } else if is("resnet8", "digits", "none", 2) && job.attempt.attempt == 1 {
            AttemptEnd::GivenBack
        } else {
            AttemptEnd::Completed(Box::new(outcome))
        };
        let n_epochs = if matches!(end, AttemptEnd::Completed(_)) { progress.len() } else { 1 };
        for progress in progress.into_iter().take(n_epochs) {
            let beat = Beat { attempt: job.attempt.clone(), progress: Some(progress) };
            self.ask(Request { beats: Some(vec![beat]), ..Request::new(session) }).await;
        }
        let report = AttemptReport { attempt: job.attempt.clone(), end };
        let answers = self.ask(Request { reports: vec![report], ..Request::new(session) }).await.answers;
        assert_eq!(answers, [Answer::Accepted]);
    }
}

fn new_session(worker: &str) -> NewSession {
    let capabilities = Capabilities {
        device: Some(DeviceKind::Cpu),
        memory_mib: Some(4_000),
        datasets: Datasets::Any,
        labels: vec!["<u>rack</u>-7".into()],
    };
    NewSession { worker: worker.into(), version: "0.1.0".into(), trainer: "simulated".into(), n_slots: 2, embedded: false, capabilities }
}

/// What the simulated trainer makes of a job.
fn simulate(config: &JobConfig, job: &ClaimedJob) -> (Outcome, Vec<Progress>) {
    struct Watching(Vec<Progress>);
    impl Observer for Watching {
        fn progress(&mut self, progress: Progress) {
            self.0.push(progress);
        }
        fn records(&mut self, _: &Records) {}
        fn stopped(&self) -> bool {
            false
        }
    }
    let options = "epoch-ms=0".parse().unwrap();
    let attempt = Attempt { job: job.attempt.key.clone(), number: job.attempt.attempt };
    let mut watching = Watching(Vec::new());
    let outcome = Simulated::new(options).run(config, &attempt, &mut watching).unwrap();
    // A simulated epoch takes no time; one of this laboratory takes a second and a half.
    let train_seconds = 1.5 * watching.0.len() as f64;
    let of_epoch = |progress: Progress| Progress { images_per_second: 4_000.0 / 1.5, ..progress };
    (Outcome { train_seconds, ..outcome }, watching.0.into_iter().map(of_epoch).collect())
}

#[tokio::test]
async fn the_laboratory_is_the_same_every_time() {
    let laboratory = Laboratory::new().await;
    let sweeps = super::sweeps(&laboratory.source().await).await;
    let stand = |row: &v1::SweepRow| (row.state.clone(), row.n_jobs, row.n_succeeded, row.n_failed, row.n_diverged, row.n_reused);
    let expected = [("finished", 48, 46, 1, 1, 0), ("running", 11, 7, 0, 0, 0), ("paused", 1, 0, 0, 0, 0), ("finished", 16, 16, 0, 0, 12)];
    for ((row, name), (state, n_jobs, n_succeeded, n_failed, n_diverged, n_reused)) in sweeps.iter().rev().zip(SWEEPS).zip(expected) {
        assert_eq!(row.name, name);
        assert_eq!(stand(row), (state.to_owned(), n_jobs, n_succeeded, n_failed, n_diverged, n_reused), "{name}");
    }
    assert_eq!(sweeps.len(), SWEEPS.len());
    // Files differ in when migrations ran; what anybody reads does not.
    let again = Laboratory { folder: tempfile::tempdir().unwrap() };
    std::fs::write(again.path(), made().await).unwrap();
    let (first, second) = (laboratory.source().await, again.source().await);
    let all = || v1::ListJobsRequest { limit: 1_000, ..Default::default() };
    let jobs = first.jobs(all()).await.unwrap();
    assert_eq!(jobs, second.jobs(all()).await.unwrap());
    for job in &jobs {
        assert!(first.job(&job.job).await.unwrap() == second.job(&job.job).await.unwrap(), "{}", job.job);
    }
}
