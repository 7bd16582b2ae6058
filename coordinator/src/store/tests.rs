//! The store on real databases of both engines: what it promises, whatever happens in whatever order.
//!
//! A test is a function that takes a [`Fixture`]; `on_both_engines!` runs it on each engine. The half on PostgreSQL needs a server, whose URL
//! `OFFRAMP_TEST_POSTGRES` gives (of a database to connect to while others are made); without it, it says that it is skipped.

/// Makes of each named function, which takes a [`Fixture`], a module with a test an engine.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            #[tokio::test]
            async fn sqlite() {
                super::$name($crate::store::tests::Fixture::sqlite().await).await;
            }

            #[tokio::test]
            async fn postgres() {
                if let Some(fixture) = $crate::store::tests::Fixture::postgres().await {
                    super::$name(fixture).await;
                }
            }
        })*
    };
}
pub(crate) use on_both_engines;

mod batches;
mod comparisons;
mod concurrency;
mod control;
mod dependencies;
mod explanations;
mod frontier;
mod import;
mod leases;
mod model;
mod opening;
mod opening_postgres;
mod order;
mod placement;
mod plans;
mod reader_role;
mod removal;
mod results;
mod reuse;
mod select;
mod sessions;
mod statements;
mod submission;
mod upgrading;

use std::hash::{BuildHasher, Hasher};
use std::path::Path;

use offramp_domain::network::ExitCost;
use offramp_domain::outcome::{Artifact, ExitResult, FailureKind, OperatingPoint, Outcome};
use offramp_domain::placement::{Capabilities, Datasets};
use offramp_domain::sweep::{self, Sweep};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

use super::engine::{Row, Statement};
use super::*;

/// The version of the newest migration, which is the same on both engines.
fn newest_schema() -> i64 {
    let newest = |migrations: &[open::Step]| migrations.last().expect("there is a first migration").0;
    assert_eq!(newest(open::SQLITE_MIGRATIONS), newest(open::POSTGRES_MIGRATIONS));
    newest(open::SQLITE_MIGRATIONS)
}

/// A time to start from; only differences matter.
pub(crate) const START_US: i64 = 1_700_000_000_000_000;
pub(crate) const SECOND_US: i64 = 1_000_000;
pub(crate) const LEASE_US: i64 = 15 * SECOND_US;
pub(crate) const LIMITS: Limits = Limits { max_failures: 3, quarantine_after: 2 };

/// A database of a test's own, which goes away with it.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    pub(crate) database: Database,
    _folder: Option<TempDir>,
    _dropped: Option<Dropped>,
}

/// Drops a database of a server.
#[derive(Debug)]
struct Dropped {
    maintenance: String,
    name: String,
}

impl Drop for Dropped {
    fn drop(&mut self) {
        let (maintenance, statement) = (self.maintenance.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        // On a thread of its own: the test's runtime cannot be waited on from inside.
        let dropped = std::thread::spawn(move || run_on_server(&maintenance, statement)).join();
        assert!(dropped.is_ok() || std::thread::panicking(), "the database of a test stays behind");
    }
}

fn run_on_server(maintenance: &str, statement: String) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let mut connection = PgConnection::connect(maintenance).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

impl TestDatabase {
    /// A file that does not exist yet.
    pub(crate) fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        Self { database: Database::Sqlite(folder.path().join("offramp.db")), _folder: Some(folder), _dropped: None }
    }

    /// A new, empty database; `None` where there is no server.
    pub(crate) async fn postgres() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "a test's surroundings, not a setting")]
        let Ok(maintenance) = std::env::var("OFFRAMP_TEST_POSTGRES") else {
            #[expect(clippy::print_stderr, reason = "said where the test's result is shown")]
            {
                eprintln!("skipped: OFFRAMP_TEST_POSTGRES names no server");
            }
            return None;
        };
        let random = std::hash::RandomState::new().build_hasher().finish();
        let name = format!("offramp_test_{random:016x}");
        let mut connection = PgConnection::connect(&maintenance).await.unwrap();
        let create = AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0"));
        sqlx::raw_sql(create).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let (address, query) =
            maintenance.split_once('?').map_or((maintenance.as_str(), String::new()), |(address, query)| (address, format!("?{query}")));
        let (server, _) = address.rsplit_once('/').expect("the URL names a database");
        let database = format!("{server}/{name}{query}").parse().unwrap();
        Some(Self { database, _folder: None, _dropped: Some(Dropped { maintenance, name }) })
    }

    /// Where the file is.
    fn path(&self) -> &Path {
        match &self.database {
            Database::Sqlite(path) => path,
            Database::Postgres(_) => panic!("no file"),
        }
    }
}

/// A store with a database of its own.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) home: TestDatabase,
}

impl std::ops::Deref for Fixture {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Fixture {
    pub(crate) async fn new(home: TestDatabase) -> Self {
        Self { store: Store::open(&home.database, LIMITS).await.unwrap(), home }
    }

    pub(crate) async fn sqlite() -> Self {
        Self::new(TestDatabase::sqlite()).await
    }

    pub(crate) async fn postgres() -> Option<Self> {
        Some(Self::new(TestDatabase::postgres().await?).await)
    }

    /// The same database as the next process finds it: this one is gone without a word.
    pub(crate) async fn reopened(self) -> Self {
        let Self { store, home } = self;
        drop(store);
        Self::new(home).await
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.home.database, Database::Postgres(_))
    }
}

/// What tests ask of any store.
impl Store {
    pub(crate) async fn submit_text(&self, text: &str) -> Submitted {
        self.submit(&parse(text), text, &by("somebody"), START_US).await.unwrap()
    }

    pub(crate) async fn session(&self, worker: &str) -> SessionId {
        self.open_session(&new_session(worker, false), START_US).await.unwrap().id
    }

    /// Carries one request out.
    pub(crate) async fn ask(&self, request: Request, now_us: i64) -> Result<Reply, SessionError> {
        self.apply(&[request], now_us, LEASE_US).await.unwrap().replies.remove(0)
    }

    pub(crate) async fn claim(&self, session: SessionId, n_jobs: usize, now_us: i64) -> Vec<ClaimedJob> {
        self.ask(Request { n_jobs, ..Request::new(session) }, now_us).await.unwrap().claimed
    }

    pub(crate) async fn claim_one(&self, session: SessionId, now_us: i64) -> Option<ClaimedJob> {
        self.claim(session, 1, now_us).await.pop()
    }

    pub(crate) async fn report(&self, session: SessionId, attempt: &AttemptRef, end: AttemptEnd, now_us: i64) -> Answer {
        let report = AttemptReport { attempt: attempt.clone(), end };
        self.ask(Request { reports: vec![report], ..Request::new(session) }, now_us).await.unwrap().answers.remove(0)
    }

    pub(crate) async fn complete(&self, session: SessionId, attempt: &AttemptRef, outcome: &Outcome, now_us: i64) -> Answer {
        self.report(session, attempt, AttemptEnd::Completed(Box::new(outcome.clone())), now_us).await
    }

    pub(crate) async fn fail(&self, session: SessionId, attempt: &AttemptRef, kind: FailureKind, message: &str, now_us: i64) -> Answer {
        self.report(session, attempt, AttemptEnd::Failed { kind, message: message.into() }, now_us).await
    }

    pub(crate) async fn give_back(&self, session: SessionId, attempt: &AttemptRef, now_us: i64) -> Answer {
        self.report(session, attempt, AttemptEnd::GivenBack, now_us).await
    }

    /// A heartbeat with these attempts.
    pub(crate) async fn beat(&self, session: SessionId, attempts: &[&AttemptRef], now_us: i64) -> Result<Reply, SessionError> {
        let beats = attempts.iter().map(|attempt| Beat { attempt: (*attempt).clone(), progress: None }).collect();
        self.ask(Request { beats: Some(beats), ..Request::new(session) }, now_us).await
    }

    pub(crate) async fn is_open(&self, session: SessionId) -> bool {
        match self.beat(session, &[], START_US).await {
            Ok(_) => true,
            Err(SessionError::Gone(gone)) => {
                assert_eq!(gone, session);
                false
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The leases that have run out.
    pub(crate) async fn lost(&self, now_us: i64) -> Vec<AttemptRef> {
        self.expire(now_us).await.unwrap().lost
    }

    /// Claims and completes the next job with the given points.
    pub(crate) async fn complete_next(&self, session: SessionId, points: &[(f64, f64)]) -> AttemptRef {
        let job = self.claim_one(session, START_US).await.expect("a job is queued");
        let answer = self.complete(session, &job.attempt, &outcome(&job.config_json, 0.9, points), START_US).await;
        assert_eq!(answer, Answer::Accepted);
        job.attempt
    }

    pub(crate) async fn job(&self, attempt: &AttemptRef) -> offramp_proto::v1::JobRow {
        self.reader().job(attempt.key.as_str()).await.unwrap().job.unwrap()
    }

    /// All jobs, oldest first.
    pub(crate) async fn jobs(&self) -> Vec<offramp_proto::v1::JobRow> {
        self.reader().jobs(JobsFilter { sweep: None, state: None, limit: 10_000, offset: 0 }).await.unwrap()
    }

    /// How every attempt at a job ended, first to last.
    pub(crate) async fn attempt_outcomes(&self, attempt: &AttemptRef) -> Vec<String> {
        let detail = self.reader().job(attempt.key.as_str()).await.unwrap();
        detail.attempts.into_iter().map(|attempt| attempt.outcome).collect()
    }

    /// Runs a statement of the test's own.
    pub(crate) async fn execute(&self, text: &str) {
        let mut tx = self.begin().await.unwrap();
        tx.run(statement(text), []).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Rows of a statement of the test's own.
    async fn rows(&self, text: &str) -> Vec<Row> {
        self.reader().pool().all(statement(text), []).await.unwrap()
    }

    /// The number of rows of a table, as far as a condition behind its name says.
    pub(crate) async fn count(&self, rows: &str) -> i64 {
        self.rows(&format!("SELECT count(*) AS n FROM {rows}")).await[0].get("n").unwrap()
    }
}

/// One case of a property on a new SQLite file.
fn on_sqlite(test: impl AsyncFnOnce(Fixture)) {
    block_on(async { test(Fixture::sqlite().await).await });
}

/// One case of a property on a new PostgreSQL database, where there is a server.
fn on_postgres(test: impl AsyncFnOnce(Fixture)) {
    block_on(async {
        if let Some(fixture) = Fixture::postgres().await {
            test(fixture).await;
        }
    });
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// A statement that says the same on both engines.
fn statement(text: &str) -> Statement {
    let text: &'static str = Box::leak(text.to_owned().into_boxed_str());
    Statement { name: "of a test", sqlite: text, postgres: text }
}

/// Somebody who gives no reason.
pub(crate) fn by(who: &str) -> Requester {
    Requester { who: who.into(), reason: String::new() }
}

pub(crate) fn new_session(worker: &str, embedded: bool) -> NewSession {
    let capabilities = Capabilities { device: None, memory_mib: None, datasets: Datasets::Any, labels: Vec::new() };
    NewSession { worker: worker.into(), version: "1.2.3".into(), trainer: "simulated".into(), n_slots: 2, embedded, capabilities }
}

fn parse(text: &str) -> Sweep {
    sweep::parse(text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A sweep of one small backbone: four exits, or one for pattern `none`.
pub(crate) fn sweep_text(name: &str, patterns: &str, seeds: &str) -> String {
    format!(
        r#"
name = "{name}"
[axes]
backbone = "resnet8"
dataset = "digits"
exits = {{ at = "stage-ends" }}
budget = {{ levels = 6 }}
pattern = {patterns}
seed = {seeds}
[recipe]
epochs = 2
batch_size = 64
optimizer = {{ sgd = {{ lr = 0.1, momentum = 0.9, nesterov = true, weight_decay = 5e-4 }} }}
schedule = "cosine"
augment = "none"
[evaluation]
policies = ["max-softmax"]
"#
    )
}

/// Expected cost of a sample when these shares leave at these exits.
fn expected(costs: &[ExitCost], shares: &[f64], macs: fn(&ExitCost) -> u64) -> f64 {
    costs.iter().zip(shares).map(|(cost, share)| macs(cost) as f64 * share).sum()
}

/// What an answer from each exit of a leased job's network costs.
pub(crate) fn costs(config_json: &str) -> Vec<ExitCost> {
    let config = offramp_domain::job::JobConfig::from_json(config_json).unwrap();
    offramp_domain::network::assemble(&config).unwrap().exit_costs()
}

/// A result of a leased job whose exits all have one accuracy, with operating points of (share, accuracy): that share of the samples leaves at
/// the final exit, the rest at the first. With the share rise both costs; of a network with one exit all points cost the same.
pub(crate) fn outcome(config_json: &str, accuracy: f64, points: &[(f64, f64)]) -> Outcome {
    let costs = costs(config_json);
    let n_exits = costs.len();
    let exit = ExitResult {
        accuracy,
        loss: 0.5,
        calibration_accuracy: accuracy - 0.01,
        calibration_loss: 0.6,
        top5_accuracy: None,
        ece: None,
        calibration_top5_accuracy: None,
        calibration_ece: None,
    };
    let point = |(index, &(share, accuracy)): (usize, &(f64, f64))| {
        let mut exit_shares = vec![0.0; n_exits];
        exit_shares[0] += 1.0 - share;
        exit_shares[n_exits - 1] += share;
        let macs_cascade = expected(&costs, &exit_shares, |cost| cost.macs_cascade);
        OperatingPoint {
            policy: "max-softmax".into(),
            setting: index as f64,
            macs_cascade,
            macs_selected: expected(&costs, &exit_shares, |cost| cost.macs_selected),
            accuracy,
            calibration_accuracy: accuracy,
            calibration_macs_cascade: macs_cascade,
            exit_shares,
            latency_us: None,
            images_per_second: None,
        }
    };
    Outcome {
        exits: vec![exit; n_exits],
        operating_points: points.iter().enumerate().map(point).collect(),
        n_train: 1_300,
        n_calibration: 140,
        n_test: 357,
        train_seconds: 2.5,
        trainer: "simulated".into(),
        records: None,
    }
}
