//! The coordinator over real connections on loopback, on both engines, its clock in the test's hand.

mod control;
mod generated;
mod protocol;

mod http;
mod leases;
mod refusals;
mod select;
mod starting;
mod sweeps;

use std::sync::atomic::{AtomicI64, Ordering};

use offramp_proto::v1;
use offramp_proto::v1::fleet_service_client::FleetServiceClient;
use offramp_proto::v1::result_service_client::ResultServiceClient;
use offramp_proto::v1::sweep_service_client::SweepServiceClient;
use offramp_proto::v1::worker_service_client::WorkerServiceClient;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Streaming};

use super::*;
use crate::config::Database;
use crate::failpoint::Failpoints;
use crate::store::tests::{START_US, TestDatabase, outcome};

/// Longer than anything here takes on a slow machine: a test that reaches it hangs.
const DEADLINE: Duration = Duration::from_mins(1);
/// As long as a claim may wait: a claim that returns before [`DEADLINE`] was woken.
const LONG_WAIT_MS: u32 = 60_000;
const SHORT_LEASE: Duration = Duration::from_secs(1);

/// Makes of each named function, which takes a [`TestDatabase`], a module with a test an engine.
macro_rules! served_on_both_engines {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            use crate::store::tests::TestDatabase;

            #[tokio::test]
            async fn sqlite() {
                super::$name(TestDatabase::sqlite()).await;
            }

            #[tokio::test]
            async fn postgres() {
                if let Some(home) = TestDatabase::postgres().await {
                    super::$name(home).await;
                }
            }
        })*
    };
}
use served_on_both_engines;

struct Served {
    running: Running,
    now_us: Arc<AtomicI64>,
    shutdown: CancellationToken,
    channel: Channel,
    home: TestDatabase,
}

fn config(database: &Database) -> Config {
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        database: database.clone(),
        lease: Config::LEASE,
        heartbeat: Config::HEARTBEAT,
        max_failures: Config::MAX_FAILURES,
        grace: Config::GRACE,
        quarantine_after: Config::QUARANTINE_AFTER,
        failpoints: Failpoints::default(),
        insecure: false,
        hosts: Vec::new(),
    }
}

async fn served(home: TestDatabase) -> Served {
    served_with(home, |_| {}).await
}

/// On a file: for what has nothing to do with the database.
async fn served_on_a_file() -> Served {
    served(TestDatabase::sqlite()).await
}

/// Leases so short that the clock can jump over one without looking like a coordinator that stood still.
async fn served_with_short_leases(home: TestDatabase) -> Served {
    served_with(home, |config| (config.lease, config.heartbeat) = (SHORT_LEASE, SHORT_LEASE / 2)).await
}

async fn served_with(home: TestDatabase, adapt: impl FnOnce(&mut Config)) -> Served {
    let mut config = config(&home.database);
    adapt(&mut config);
    let store = Store::open(&config.database, config.limits()).await.unwrap();
    let now_us = Arc::new(AtomicI64::new(START_US));
    let shutdown = CancellationToken::new();
    let listener = bind(config.listen).await.unwrap();
    let running = run(&config, listener, store, Clock::Manual(Arc::clone(&now_us)), &shutdown).await.unwrap();
    let channel = connect(running.address).await;
    Served { running, now_us, shutdown, channel, home }
}

async fn connect(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

impl Served {
    fn sweeps(&self) -> SweepServiceClient<Channel> {
        SweepServiceClient::new(self.channel.clone())
    }

    fn workers(&self) -> WorkerServiceClient<Channel> {
        WorkerServiceClient::new(self.channel.clone())
    }

    fn results(&self) -> ResultServiceClient<Channel> {
        ResultServiceClient::new(self.channel.clone())
    }

    fn fleet(&self) -> FleetServiceClient<Channel> {
        FleetServiceClient::new(self.channel.clone())
    }

    async fn submit(&self, text: &str) -> v1::SubmitSweepResponse {
        self.sweeps().submit_sweep(submission(text)).await.unwrap().into_inner()
    }

    async fn open_session(&self) -> String {
        self.open_session_of("w").await
    }

    async fn open_session_of(&self, worker: &str) -> String {
        self.workers().open_session(open_request(worker)).await.unwrap().into_inner().session
    }

    async fn claim(&self, session: &str, wait_ms: u32) -> Vec<v1::Lease> {
        let request = v1::ClaimRequest { session: session.into(), max_jobs: 64, wait_ms, sweep: 0 };
        timeout(DEADLINE, self.workers().claim(request)).await.expect("the claim returns in time").unwrap().into_inner().leases
    }

    /// Sends one report; its answer.
    async fn report(&self, session: &str, lease: &v1::Lease, end: End) -> v1::ReportAnswer {
        self.workers().report(report(session, lease, end)).await.unwrap().into_inner().results[0].answer()
    }

    async fn complete(&self, session: &str, lease: &v1::Lease, accuracy: f64) -> v1::ReportAnswer {
        self.report(session, lease, completed(lease, accuracy)).await
    }

    async fn heartbeat(&self, session: &str, leases: &[&v1::Lease]) -> v1::HeartbeatResponse {
        self.workers().heartbeat(heartbeat(session, leases)).await.unwrap().into_inner()
    }

    async fn watch(&self, sweep: &str) -> Streaming<v1::SweepStatus> {
        self.sweeps().watch_sweep(v1::GetSweepRequest { sweep: sweep.into() }).await.unwrap().into_inner()
    }

    async fn sweep(&self, sweep: &str) -> v1::SweepRow {
        self.sweeps().get_sweep(v1::GetSweepRequest { sweep: sweep.into() }).await.unwrap().into_inner().sweep.unwrap()
    }

    async fn job(&self, lease: &v1::Lease) -> v1::JobDetail {
        self.sweeps().get_job(v1::GetJobRequest { job: lease.job_key.clone() }).await.unwrap().into_inner()
    }

    fn pass(&self, time: Duration) {
        self.now_us.fetch_add(time.as_micros() as i64, Ordering::SeqCst);
    }

    /// Ends the coordinator, and waits until it has ended.
    async fn end(self) -> TestDatabase {
        let Self { running, shutdown, channel, home, .. } = self;
        drop(channel);
        shutdown.cancel();
        timeout(DEADLINE, running.join).await.expect("it ends in time").unwrap().unwrap();
        home
    }
}

type End = v1::attempt_report::End;

fn submission(text: &str) -> v1::SubmitSweepRequest {
    v1::SubmitSweepRequest { text: text.into(), file_name: "sweep.toml".into(), dry_run: false, retry_failed: false, by: "me@here".into() }
}

fn open_request(worker: &str) -> v1::OpenSessionRequest {
    v1::OpenSessionRequest {
        worker: worker.into(),
        version: "1.2.3".into(),
        n_slots: 1,
        trainer: "simulated".into(),
        embedded: false,
        capabilities: None,
    }
}

fn attempt(lease: &v1::Lease) -> v1::AttemptId {
    v1::AttemptId { job_key: lease.job_key.clone(), attempt: lease.attempt }
}

fn completed(lease: &v1::Lease, accuracy: f64) -> End {
    End::Outcome(outcome(&lease.config_json, accuracy, &[(1.0, accuracy)]).into())
}

fn failed(kind: v1::FailureKind) -> End {
    End::Failure(v1::Failure { kind: kind.into(), message: "no luck".into() })
}

fn given_back() -> End {
    End::GivenBack(v1::GivenBack {})
}

fn report(session: &str, lease: &v1::Lease, end: End) -> v1::ReportRequest {
    let report = v1::AttemptReport { attempt: Some(attempt(lease)), end: Some(end) };
    v1::ReportRequest { session: session.into(), reports: vec![report], claim_jobs: 0, claim_sweep: 0 }
}

fn heartbeat(session: &str, leases: &[&v1::Lease]) -> v1::HeartbeatRequest {
    let beat = |lease: &&v1::Lease| v1::AttemptProgress { attempt: Some(attempt(lease)), slot: 0, progress: None };
    v1::HeartbeatRequest { session: session.into(), attempts: leases.iter().map(beat).collect() }
}

/// The next message that `wanted` is true of.
async fn next_where(stream: &mut Streaming<v1::SweepStatus>, wanted: impl Fn(&v1::SweepStatus) -> bool) -> v1::SweepStatus {
    let search = async {
        loop {
            let status = stream.message().await.unwrap().expect("the stream goes on");
            if wanted(&status) {
                return status;
            }
        }
    };
    timeout(DEADLINE, search).await.expect("it is told in time")
}
