//! The coordinator over real connections on loopback, its clock in the test's hand.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};

use offramp_proto::v1;
use offramp_proto::v1::result_service_client::ResultServiceClient;
use offramp_proto::v1::sweep_service_client::SweepServiceClient;
use offramp_proto::v1::sweep_service_server::SweepService;
use offramp_proto::v1::worker_service_client::WorkerServiceClient;
use offramp_proto::v1::worker_service_server::WorkerService;
use tempfile::TempDir;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::*;
use crate::store::tests::{START_US, costs, outcome, sweep_text};

/// Longer than anything here takes on a slow machine: a test that reaches it hangs.
const DEADLINE: Duration = Duration::from_mins(1);
/// As long as a claim may wait: a claim that returns before [`DEADLINE`] was woken.
const LONG_WAIT_MS: u32 = 60_000;
const SHORT_LEASE: Duration = Duration::from_secs(1);

struct Served {
    running: Running,
    now_us: Arc<AtomicI64>,
    shutdown: CancellationToken,
    channel: Channel,
    path: PathBuf,
    _folder: TempDir,
}

fn config(path: &std::path::Path) -> Config {
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        database: Database::Sqlite(path.to_owned()),
        lease: Config::LEASE,
        heartbeat: Config::HEARTBEAT,
        max_failures: 3,
        insecure: false,
    }
}

async fn served() -> Served {
    served_with(|_| {}).await
}

/// Leases so short that the clock can jump over one without looking like a coordinator that stood still.
async fn served_with_short_leases() -> Served {
    served_with(|config| (config.lease, config.heartbeat) = (SHORT_LEASE, SHORT_LEASE / 2)).await
}

async fn served_with(adapt: fn(&mut Config)) -> Served {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("offramp.db");
    let mut config = config(&path);
    adapt(&mut config);
    let store = Store::open(&path, config.max_failures).await.unwrap();
    let now_us = Arc::new(AtomicI64::new(START_US));
    let shutdown = CancellationToken::new();
    let listener = bind(config.listen).await.unwrap();
    let running = run(&config, listener, store, Clock::Manual(Arc::clone(&now_us)), &shutdown).await.unwrap();
    let channel = connect(running.address).await;
    Served { running, now_us, shutdown, channel, path, _folder: folder }
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

    async fn submit(&self, text: &str) -> v1::SubmitSweepResponse {
        let request = v1::SubmitSweepRequest { text: text.into(), file_name: "sweep.toml".into(), dry_run: false, retry_failed: false };
        self.sweeps().submit_sweep(request).await.unwrap().into_inner()
    }

    async fn open_session(&self) -> String {
        self.workers().open_session(open_request("w")).await.unwrap().into_inner().session
    }

    async fn claim(&self, session: &str, wait_ms: u32) -> Vec<v1::Lease> {
        let request = v1::ClaimRequest { session: session.into(), max_jobs: 64, wait_ms, sweep: 0 };
        timeout(DEADLINE, self.workers().claim(request)).await.expect("the claim returns in time").unwrap().into_inner().leases
    }

    async fn complete(&self, session: &str, lease: &v1::Lease, accuracy: f64) -> v1::ReportAnswer {
        let result = outcome(&lease.config_json, accuracy, &[(1.0, accuracy)]);
        let request = v1::CompleteRequest { session: session.into(), attempt: Some(attempt(lease)), outcome: Some(result.into()) };
        self.workers().complete(request).await.unwrap().into_inner().answer()
    }

    async fn watch(&self, sweep: &str) -> Streaming<v1::SweepStatus> {
        self.sweeps().watch_sweep(v1::GetSweepRequest { sweep: sweep.into() }).await.unwrap().into_inner()
    }

    fn pass(&self, time: Duration) {
        self.now_us.fetch_add(time.as_micros() as i64, Ordering::SeqCst);
    }
}

fn open_request(worker: &str) -> v1::OpenSessionRequest {
    v1::OpenSessionRequest { worker: worker.into(), version: "1.2.3".into(), n_slots: 1, trainer: "simulated".into(), embedded: false }
}

fn attempt(lease: &v1::Lease) -> v1::AttemptId {
    v1::AttemptId { job_key: lease.job_key.clone(), attempt: lease.attempt }
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

#[tokio::test]
async fn a_worker_of_another_kind_of_trainer_is_refused_with_a_hint() {
    let served = served().await;
    served.open_session().await;
    let real = v1::OpenSessionRequest { trainer: "burn-flex".into(), ..open_request("real") };
    let refusal = served.workers().open_session(real).await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert!(refusal.message().contains("`burn-flex`") && refusal.message().contains("`simulated`"), "{refusal:?}");
    assert!(refusal.message().contains("\nhint: "), "{refusal:?}");
}

#[tokio::test]
async fn a_sweep_goes_all_the_way() {
    let served = served().await;
    let text = sweep_text("all the way", r#"["none", "constant"]"#, "0");
    let dry = v1::SubmitSweepRequest { text: text.clone(), file_name: String::new(), dry_run: true, retry_failed: false };
    let dry = served.sweeps().submit_sweep(dry).await.unwrap().into_inner();
    assert_eq!((dry.sweep, dry.created, dry.n_jobs), (None, false, 2));
    let submitted = served.submit(&text).await;
    assert_eq!((submitted.created, submitted.n_jobs, submitted.n_known_jobs), (true, 2, 0));
    let again = served.submit(&text).await;
    assert_eq!((again.created, again.n_known_jobs, again.sweep), (false, 2, submitted.sweep));

    let mut watched = served.watch("last").await;
    next_where(&mut watched, |status| status.sweep.as_ref().unwrap().n_queued == 2).await;
    let opened = served.workers().open_session(open_request("w")).await.unwrap().into_inner();
    assert_eq!((opened.lease_ms, opened.heartbeat_ms), (15_000, 3_000));
    let session = opened.session;
    let leases = served.claim(&session, 0).await;
    let progress = v1::Progress { epoch: 1, n_epochs: 2, loss: 1.5, exit_accuracy: vec![0.75], images_per_second: 10.0 };
    let beat = v1::AttemptProgress { attempt: Some(attempt(&leases[0])), slot: 3, progress: Some(progress.clone()) };
    let request = v1::HeartbeatRequest { session: session.clone(), attempts: vec![beat] };
    assert_eq!(served.workers().heartbeat(request).await.unwrap().into_inner().stale, []);
    let working = next_where(&mut watched, |status| status.running.iter().any(|job| job.progress.is_some())).await;
    assert_eq!(working.running.len(), 2);
    let told = &working.running[0];
    assert_eq!((told.worker.as_str(), told.slot, told.attempt, told.pattern.as_str()), ("w", 3, 1, "none"));
    assert_eq!(told.progress.as_ref(), Some(&progress));

    assert_eq!(served.complete(&session, &leases[0], 0.9).await, v1::ReportAnswer::Accepted);
    assert_eq!(served.complete(&session, &leases[0], 0.9).await, v1::ReportAnswer::Accepted);
    assert_eq!(served.complete(&session, &leases[1], 0.95).await, v1::ReportAnswer::Accepted);
    let finished = next_where(&mut watched, |status| status.sweep.as_ref().unwrap().state == "finished").await;
    assert_eq!((finished.sweep.unwrap().n_succeeded, finished.running), (2, vec![]));
    assert_eq!(watched.message().await.unwrap(), None, "the stream ends with the sweep");

    let frontier = v1::GetFrontierRequest { sweep: "all the way".into(), cost_metric: v1::CostMetric::MacsSelected.into() };
    let frontier = served.results().get_frontier(frontier).await.unwrap().into_inner();
    let points: Vec<_> = frontier.points.iter().map(|point| (point.cost, point.accuracy, point.pattern.as_str())).collect();
    // Of every sample at the final exit, no branch paid.
    let backbone_macs = costs(&leases[0].config_json)[0].macs_selected as f64;
    assert_eq!(points, [(backbone_macs, 0.95, "constant")]);
    let results = served.results().list_results(v1::ListResultsRequest { sweep: "1".into() }).await.unwrap().into_inner();
    assert_eq!(results.exits.len(), 5);
    let patterns = served.results().list_patterns(v1::ListPatternsRequest { sweep: "last".into() }).await.unwrap().into_inner();
    assert_eq!(patterns.patterns.len(), 2);
    let jobs = v1::ListJobsRequest { sweep: "last".into(), state: "succeeded".into(), limit: 0, offset: 0 };
    let jobs = served.sweeps().list_jobs(jobs).await.unwrap().into_inner().jobs;
    assert_eq!(jobs.len(), 2);
    let detail = served.sweeps().get_job(v1::GetJobRequest { job: jobs[0].job.clone() }).await.unwrap().into_inner();
    assert_eq!((detail.epochs.len(), detail.attempts.len(), detail.config_json), (1, 1, leases[0].config_json.clone()));
    let listed = served.sweeps().list_sweeps(v1::ListSweepsRequest { limit: 0 }).await.unwrap().into_inner();
    assert_eq!(listed.sweeps, [results.sweep.unwrap()]);
}

#[tokio::test]
async fn a_waiting_claim_is_woken_by_a_submission() {
    let served = served().await;
    let session = served.open_session().await;
    let waiting = served.claim(&session, LONG_WAIT_MS);
    let text = sweep_text("a", r#"["none"]"#, "0");
    let (leases, _) = tokio::join!(waiting, served.submit(&text));
    assert_eq!(leases.len(), 1);
}

#[tokio::test]
async fn a_claim_that_waits_in_vain_returns_empty() {
    let served = served().await;
    let session = served.open_session().await;
    assert_eq!(served.claim(&session, 1).await, []);
}

#[tokio::test]
async fn a_lost_lease_goes_to_who_waits_for_it() {
    let served = served_with_short_leases().await;
    served.submit(&sweep_text("a", r#"["none"]"#, "0")).await;
    let (silent, waiting) = (served.open_session().await, served.open_session().await);
    let first = served.claim(&silent, 0).await.remove(0);
    let time_passes = async { served.pass(SHORT_LEASE) };
    let (second, ()) = tokio::join!(served.claim(&waiting, LONG_WAIT_MS), time_passes);
    assert_eq!((second[0].job_key.as_str(), second[0].attempt), (first.job_key.as_str(), 2));
    assert_eq!(served.complete(&silent, &first, 0.1).await, v1::ReportAnswer::Stale);
    let beat = v1::AttemptProgress { attempt: Some(attempt(&first)), slot: 0, progress: None };
    let beat = v1::HeartbeatRequest { session: silent, attempts: vec![beat] };
    assert_eq!(served.workers().heartbeat(beat).await.unwrap().into_inner().stale, [attempt(&first)]);
    assert_eq!(served.complete(&waiting, &second[0], 0.9).await, v1::ReportAnswer::Accepted);
}

#[tokio::test]
async fn a_lease_is_kept_whatever_its_progress_says() {
    let served = served_with_short_leases().await;
    served.submit(&sweep_text("a", r#"["none"]"#, "0")).await;
    let session = served.open_session().await;
    let lease = served.claim(&session, 0).await.remove(0);
    served.pass(SHORT_LEASE / 2);
    let progress = v1::Progress { epoch: 1, n_epochs: 2, loss: f64::NAN, exit_accuracy: vec![7.0], images_per_second: f64::INFINITY };
    let beat = v1::AttemptProgress { attempt: Some(attempt(&lease)), slot: 0, progress: Some(progress) };
    let beat = v1::HeartbeatRequest { session: session.clone(), attempts: vec![beat] };
    assert_eq!(served.workers().heartbeat(beat).await.unwrap().into_inner().stale, []);
    served.pass(SHORT_LEASE / 4 * 3);
    assert_eq!(served.running.store.expire(served.now_us.load(Ordering::SeqCst)).await.unwrap(), []);
    assert_eq!(served.complete(&session, &lease, 0.9).await, v1::ReportAnswer::Accepted);
    let detail = served.sweeps().get_job(v1::GetJobRequest { job: lease.job_key }).await.unwrap().into_inner();
    assert_eq!(detail.epochs, []);
}

/// What handlers need, without a server or a janitor.
fn context(store: Store, now_us: &Arc<AtomicI64>) -> Context {
    Context {
        store,
        clock: Clock::Manual(Arc::clone(now_us)),
        live: Arc::default(),
        lease: Config::LEASE,
        heartbeat: Config::HEARTBEAT,
        shutdown: CancellationToken::new(),
    }
}

/// Without the wake-ups claims would still get their jobs, a look later.
#[tokio::test]
async fn whatever_queues_jobs_wakes_the_claims_that_wait() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("offramp.db"), 3).await.unwrap();
    let now_us = Arc::new(AtomicI64::new(START_US));
    let context = context(store.clone(), &now_us);
    let (sweeps, workers) = (Sweeps(context.clone()), Workers(context.clone()));
    let mut queue = context.live.watch_queue();
    let mut woken = |by: &str| {
        assert!(queue.has_changed().unwrap(), "not woken by {by}");
        queue.mark_unchanged();
    };
    let text = sweep_text("a", r#"["none"]"#, "[0, 1, 2, 3]");
    sweeps
        .submit_sweep(Request::new(v1::SubmitSweepRequest { text, file_name: String::new(), dry_run: false, retry_failed: false }))
        .await
        .unwrap();
    woken("a submission");
    let session = workers.open_session(Request::new(open_request("w"))).await.unwrap().into_inner().session;
    let claim = v1::ClaimRequest { session: session.clone(), max_jobs: 4, wait_ms: 0, sweep: 0 };
    let leases = workers.claim(Request::new(claim)).await.unwrap().into_inner().leases;
    let [failed, released, lost, _] = leases.as_slice() else { panic!("{leases:?}") };
    let kind = v1::FailureKind::Failed.into();
    let failure = v1::FailRequest { session: session.clone(), attempt: Some(attempt(failed)), kind, message: String::new() };
    workers.fail(Request::new(failure)).await.unwrap();
    woken("a failure");
    let release = v1::ReleaseRequest { session: session.clone(), attempts: vec![attempt(released)] };
    workers.release(Request::new(release)).await.unwrap();
    woken("a release");
    now_us.fetch_add(Config::LEASE.as_micros() as i64 - 1, Ordering::SeqCst);
    let beats = leases.iter().filter(|lease| *lease != lost);
    let beats = beats.map(|lease| v1::AttemptProgress { attempt: Some(attempt(lease)), slot: 0, progress: None }).collect();
    workers.heartbeat(Request::new(v1::HeartbeatRequest { session: session.clone(), attempts: beats })).await.unwrap();
    janitor::announce(&store.expire(START_US + Config::LEASE.as_micros() as i64).await.unwrap(), &context.live);
    woken("a lease that ran out");
    workers.close_session(Request::new(v1::CloseSessionRequest { session })).await.unwrap();
    woken("a session that ended");
}

#[tokio::test]
async fn a_back_off_that_ends_is_noticed() {
    let served = served().await;
    served.submit(&sweep_text("a", r#"["none"]"#, "0")).await;
    let session = served.open_session().await;
    let first = served.claim(&session, 0).await.remove(0);
    let kind = v1::FailureKind::OutOfMemory.into();
    let failure = v1::FailRequest { session: session.clone(), attempt: Some(attempt(&first)), kind, message: "no room".into() };
    for _ in 0..2 {
        let answer = served.workers().fail(failure.clone()).await.unwrap().into_inner().answer();
        assert_eq!(answer, v1::ReportAnswer::Accepted);
    }
    assert_eq!(served.claim(&session, 0).await, [], "it backs off");
    let time_passes = async { served.pass(Duration::from_secs(1)) };
    let (second, ()) = tokio::join!(served.claim(&session, LONG_WAIT_MS), time_passes);
    assert_eq!(second[0].attempt, 2);
}

#[tokio::test]
async fn released_jobs_go_to_who_waits_for_them() {
    let served = served().await;
    served.submit(&sweep_text("a", r#"["none"]"#, "[0, 1]")).await;
    let (leaving, waiting) = (served.open_session().await, served.open_session().await);
    let held = served.claim(&leaving, 0).await;
    let release = v1::ReleaseRequest { session: leaving.clone(), attempts: vec![attempt(&held[0])] };
    let (mut workers, mut closers) = (served.workers(), served.workers());
    let (taken, released) = tokio::join!(served.claim(&waiting, LONG_WAIT_MS), workers.release(release.clone()));
    released.unwrap();
    assert_eq!((taken[0].job_key.as_str(), taken[0].attempt), (held[0].job_key.as_str(), 2));
    served.workers().release(release).await.expect("releasing again changes nothing");
    let close = v1::CloseSessionRequest { session: leaving };
    let (taken, closed) = tokio::join!(served.claim(&waiting, LONG_WAIT_MS), closers.close_session(close.clone()));
    closed.unwrap();
    assert_eq!(taken[0].job_key, held[1].job_key);
    served.workers().close_session(close).await.expect("closing again changes nothing");
}

#[tokio::test]
async fn a_claim_can_ask_for_one_sweeps_jobs() {
    let served = served().await;
    let first = served.submit(&sweep_text("first", r#"["none"]"#, "[0, 1]")).await.sweep.unwrap();
    let second = served.submit(&sweep_text("second", r#"["none"]"#, "[1, 2]")).await.sweep.unwrap();
    let session = served.open_session().await;
    let claim = async |sweep| {
        let request = v1::ClaimRequest { session: session.clone(), max_jobs: 64, wait_ms: 0, sweep };
        let leases = served.workers().claim(request).await.unwrap().into_inner().leases;
        let seed = |lease: &v1::Lease| offramp_domain::job::JobConfig::from_json(&lease.config_json).unwrap().seed;
        leases.iter().map(seed).collect::<Vec<_>>()
    };
    assert_eq!(claim(second.sweep).await, [1, 2], "a job of both sweeps is a job of each");
    assert_eq!(claim(second.sweep).await, Vec::<u64>::new());
    assert_eq!(claim(first.sweep + second.sweep).await, Vec::<u64>::new(), "there is no such sweep");
    assert_eq!(claim(0).await, [0]);
}

#[tokio::test]
async fn a_failed_job_is_tried_again_on_request_alone() {
    let served = served().await;
    let text = sweep_text("a", r#"["none"]"#, "[0, 1]");
    served.submit(&text).await;
    let session = served.open_session().await;
    let leases = served.claim(&session, 0).await;
    let fail = async |lease: &v1::Lease, kind: v1::FailureKind| {
        let kind = kind.into();
        let failure = v1::FailRequest { session: session.clone(), attempt: Some(attempt(lease)), kind, message: "no luck".into() };
        served.workers().fail(failure).await.unwrap();
    };
    fail(&leases[1], v1::FailureKind::Diverged).await;
    fail(&leases[0], v1::FailureKind::Failed).await;
    for failures in 1..3_u64 {
        served.pass(Duration::from_secs(failures));
        fail(&served.claim(&session, 0).await[0], v1::FailureKind::Failed).await;
    }
    let submit = async |retry_failed| {
        let request = v1::SubmitSweepRequest { text: text.clone(), file_name: String::new(), dry_run: false, retry_failed };
        let answer = served.sweeps().submit_sweep(request).await.unwrap().into_inner();
        let sweep = answer.sweep.unwrap();
        (answer.n_retried_jobs, sweep.n_queued, sweep.n_failed, sweep.n_diverged)
    };
    assert_eq!(submit(false).await, (0, 0, 1, 1));
    assert_eq!(submit(true).await, (1, 1, 0, 1));
    assert_eq!(submit(true).await, (0, 1, 0, 1), "asking again changes nothing");
    let lease = served.claim(&session, 0).await.remove(0);
    assert_eq!((lease.job_key.as_str(), lease.attempt), (leases[0].job_key.as_str(), 4), "the fence goes on");
    assert_eq!(served.complete(&session, &leases[0], 0.1).await, v1::ReportAnswer::Stale);
    assert_eq!(served.complete(&session, &lease, 0.9).await, v1::ReportAnswer::Accepted);
}

/// Holds the database's write lock as another program would.
async fn hold_the_database(path: &std::path::Path) -> sqlx::SqliteConnection {
    use sqlx::{ConnectOptions, Executor};
    let mut other = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    other
}

#[tokio::test]
async fn a_busy_database_is_told_apart_from_nobody_there_and_held_against_no_worker() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("offramp.db");
    let context = context(Store::open(&path, 3).await.unwrap(), &Arc::new(AtomicI64::new(START_US)));
    let workers = Workers(context.clone());
    let session = workers.open_session(Request::new(open_request("w"))).await.unwrap().into_inner().session;
    let beat = || Request::new(v1::HeartbeatRequest { session: session.clone(), attempts: vec![] });
    workers.heartbeat(beat()).await.unwrap();
    assert!(!context.live.take_heartbeat_failed());

    let other = hold_the_database(&path).await;
    let busy = workers.heartbeat(beat()).await.unwrap_err();
    assert_eq!(busy.code(), Code::Aborted);
    let expected = "the database is held by another process: error returned from database: (code: 5) database is locked\n\
                    hint: end the program that writes to the file, then try again";
    assert_eq!(busy.message(), expected);
    assert!(context.live.take_heartbeat_failed(), "the janitor knows that nobody could be heard");
    drop(other);
    workers.heartbeat(beat()).await.unwrap();
}

#[tokio::test]
async fn requests_that_cannot_be_taken_are_answered_with_the_reason() {
    let served = served().await;
    served.submit(&sweep_text("a", r#"["constant"]"#, "0")).await;
    let session = served.open_session().await;
    let lease = served.claim(&session, 0).await.remove(0);
    let refused = |status: Result<(), Status>, code: Code, message: &str| {
        let status = status.expect_err(message);
        assert!(status.code() == code && status.message().contains(message), "{status:?} instead of {code:?} {message}");
    };
    macro_rules! call {
        ($client:ident . $method:ident ($request:expr)) => {
            served.$client().$method($request).await.map(|_| ())
        };
    }
    let claim = |session: &str, max_jobs, wait_ms| v1::ClaimRequest { session: session.into(), max_jobs, wait_ms, sweep: 0 };
    refused(call!(workers.claim(claim("nonsense", 1, 0))), Code::InvalidArgument, "`session` is `nonsense`");
    refused(call!(workers.claim(claim("99-1", 1, 0))), Code::NotFound, "session `99-1` is unknown or has ended");
    refused(call!(workers.claim(claim(&session, 0, 0))), Code::InvalidArgument, "`max_jobs` is 0, expected 1 to 64");
    refused(call!(workers.claim(claim(&session, 65, 0))), Code::InvalidArgument, "`max_jobs` is 65");
    refused(call!(workers.claim(claim(&session, 1, 60_001))), Code::InvalidArgument, "`wait_ms` is 60001");
    let of_sweep = v1::ClaimRequest { sweep: -1, ..claim(&session, 1, 0) };
    refused(call!(workers.claim(of_sweep)), Code::InvalidArgument, "`sweep` is -1, expected the id of a sweep, or 0");
    refused(call!(workers.open_session(open_request(""))), Code::InvalidArgument, "`worker` is missing");
    refused(call!(workers.open_session(open_request("a\u{1b}[2J"))), Code::InvalidArgument, "`worker` is \\u{1b}, expected printable");
    refused(call!(workers.open_session(open_request(&"w".repeat(201)))), Code::InvalidArgument, "`worker` is 201 characters");
    let beats = vec![v1::AttemptProgress::default(); 1_025];
    refused(
        call!(workers.heartbeat(v1::HeartbeatRequest { session: session.clone(), attempts: beats })),
        Code::InvalidArgument,
        "1025 values",
    );

    let complete = |outcome| v1::CompleteRequest { session: session.clone(), attempt: Some(attempt(&lease)), outcome };
    refused(call!(workers.complete(complete(None))), Code::InvalidArgument, "`outcome` is missing");
    let fitting = outcome(&lease.config_json, 0.9, &[(1.0, 0.9)]);
    let mut short: v1::Outcome = fitting.clone().into();
    short.exits.pop();
    short.operating_points[0].exit_shares.remove(0);
    refused(call!(workers.complete(complete(Some(short)))), Code::InvalidArgument, "a result of 3 exits");
    let mut free: v1::Outcome = fitting.clone().into();
    free.operating_points[0].macs_cascade = 1.0;
    refused(call!(workers.complete(complete(Some(free)))), Code::InvalidArgument, "`operating_point.macs_cascade` is 1 in point 0");
    let crowded = outcome(&lease.config_json, 0.9, &vec![(1.0, 0.9); 10_001]);
    refused(call!(workers.complete(complete(Some(crowded.into())))), Code::InvalidArgument, "10001 values, expected at most 10000");
    let mut strange: v1::Outcome = fitting.into();
    strange.operating_points[0].accuracy = f64::NAN;
    refused(call!(workers.complete(complete(Some(strange)))), Code::InvalidArgument, "`operating_point.accuracy` is NaN");
    let fail = v1::FailRequest { session: session.clone(), attempt: Some(attempt(&lease)), kind: 0, message: String::new() };
    refused(call!(workers.fail(fail)), Code::InvalidArgument, "`kind` is missing");

    let sweep = |sweep: &str| v1::GetSweepRequest { sweep: sweep.into() };
    refused(call!(sweeps.get_sweep(sweep("b"))), Code::NotFound, "no sweep is called `b`\nhint: ");
    refused(call!(sweeps.watch_sweep(sweep("\u{1b}[2J"))), Code::NotFound, "no sweep is called `\\u{1b}[2J`");
    refused(call!(sweeps.get_job(v1::GetJobRequest { job: "zz".into() })), Code::NotFound, "no job's id begins with `zz`");
    let jobs = v1::ListJobsRequest { sweep: String::new(), state: "done".into(), limit: 0, offset: 0 };
    refused(call!(sweeps.list_jobs(jobs)), Code::InvalidArgument, "no job state is called `done`\nhint: the states are `queued`, `leased`");
    let frontier = |cost_metric| v1::GetFrontierRequest { sweep: "last".into(), cost_metric };
    refused(call!(results.get_frontier(frontier(0))), Code::InvalidArgument, "`cost_metric` is missing");
    refused(call!(results.get_frontier(frontier(7))), Code::InvalidArgument, "`cost_metric` is 7");

    assert_eq!(served.complete(&session, &lease, 0.9).await, v1::ReportAnswer::Accepted, "after all that");
}

#[tokio::test]
async fn every_problem_of_a_sweep_file_comes_back_with_its_place() {
    let served = served().await;
    let text = sweep_text("a", r#"["none", "rising"]"#, "0").replace("resnet8", "resnet9");
    let submit = |text: String| v1::SubmitSweepRequest { text, file_name: "my.toml".into(), dry_run: false, retry_failed: false };
    let refusal = served.sweeps().submit_sweep(submit(text)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);
    for part in ["my.toml:4:", "resnet9", "my.toml:8:", "rising"] {
        assert!(refusal.message().contains(part), "{part} in {}", refusal.message());
    }
    // More problems than a status message holds, in letters that take the most room on the wire.
    let backbones: Vec<String> = (0..90).map(|index| format!("\"netz-ünbekannt-{index}\"")).collect();
    let text = sweep_text("a", r#"["none"]"#, "0").replace("\"resnet8\"", &format!("[\n{}\n]", backbones.join(",\n")));
    let refusal = served.sweeps().submit_sweep(submit(text)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument, "{refusal:?}");
    assert!(refusal.message().contains("netz-ünbekannt-0") && refusal.message().ends_with("more problems are not shown"), "{refusal:?}");
    let listed = served.sweeps().list_sweeps(v1::ListSweepsRequest { limit: 0 }).await.unwrap().into_inner();
    assert_eq!(listed.sweeps, [], "nothing was written");
}

#[tokio::test]
async fn the_shutdown_ends_whoever_waits_and_closes_the_database() {
    let served = served().await;
    served.submit(&sweep_text("a", r#"["none"]"#, "0")).await;
    let mut watched = served.watch("a").await;
    next_where(&mut watched, |_| true).await;
    let session = served.open_session().await;
    served.claim(&session, 0).await;
    let ends = async {
        served.shutdown.cancel();
    };
    let (leases, ()) = tokio::join!(served.claim(&session, LONG_WAIT_MS), ends);
    assert_eq!(leases, []);
    let told = async {
        loop {
            match watched.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a stream that ends early says why"),
                Err(status) => return status,
            }
        }
    };
    assert_eq!(timeout(DEADLINE, told).await.unwrap().code(), Code::Unavailable);
    let Served { running, path, channel, _folder, .. } = served;
    drop(channel);
    timeout(DEADLINE, running.join).await.unwrap().unwrap().unwrap();
    assert!(!path.with_extension("db-wal").exists(), "the log is folded into the file");
}

#[tokio::test]
async fn health_and_reflection_answer() {
    let served = served().await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(served.channel.clone());
    for service in ["", "offramp.v1.SweepService", "offramp.v1.WorkerService", "offramp.v1.ResultService"] {
        let request = tonic_health::pb::HealthCheckRequest { service: service.into() };
        let status = health.check(request).await.unwrap().into_inner().status();
        assert_eq!(status, tonic_health::pb::health_check_response::ServingStatus::Serving, "{service}");
    }
    let mut reflection = tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(served.channel.clone());
    let request = tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = reflection.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.message().await.unwrap().unwrap().message_response else {
        panic!("a list of services")
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for service in ["offramp.v1.SweepService", "offramp.v1.WorkerService", "offramp.v1.ResultService", "grpc.health.v1.Health"] {
        assert!(names.contains(&service), "{service} in {names:?}");
    }
}

#[tokio::test]
async fn a_message_without_end_is_refused() {
    let served = served().await;
    let request =
        v1::SubmitSweepRequest { text: "#".repeat(3 * 1024 * 1024), file_name: String::new(), dry_run: true, retry_failed: false };
    let refusal = served.sweeps().submit_sweep(request).await.unwrap_err();
    assert_eq!(refusal.code(), Code::OutOfRange, "{refusal:?}");
    served.submit(&sweep_text("a", r#"["none"]"#, "0")).await;
}

#[tokio::test]
async fn starting_says_what_stands_in_the_way() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("offramp.db");
    let shutdown = CancellationToken::new();
    let first = start(config(&path), shutdown.clone()).await.unwrap();
    assert!(first.address.port() != 0 && first.address.ip().is_loopback());

    let taken = Config { listen: first.address, ..config(&folder.path().join("other.db")) };
    let error = start(taken, shutdown.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{} is in use", first.address));
    assert!(error.hint().unwrap().contains("--listen"));
    assert!(!folder.path().join("other.db").exists());

    let error = start(config(&path), shutdown.clone()).await.unwrap_err();
    assert!(matches!(&error, StartError::Open(OpenError::Locked { pid, .. }) if *pid == Some(std::process::id())), "{error:?}");

    let open = Config { listen: "0.0.0.0:0".parse().unwrap(), ..config(&folder.path().join("other.db")) };
    let error = start(open, shutdown.clone()).await.unwrap_err();
    assert!(error.to_string().contains("listen: `0.0.0.0:0` can be reached from other machines"), "{error}");
    assert!(error.hint().unwrap().contains("--insecure"));

    // An address of a documentation network is none of this machine's.
    let elsewhere = Config { listen: "192.0.2.1:1".parse().unwrap(), insecure: true, ..config(&folder.path().join("other.db")) };
    let error = start(elsewhere, shutdown.clone()).await.unwrap_err();
    assert!(matches!(&error, StartError::Bind { address, .. } if address.port() == 1), "{error:?}");

    shutdown.cancel();
    timeout(DEADLINE, first.join).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_restarted_coordinator_goes_on_where_the_last_one_died() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("offramp.db");
    let text = sweep_text("a", r#"["none"]"#, "[0, 1]");
    let shutdown = CancellationToken::new();
    let first = start(config(&path), shutdown.clone()).await.unwrap();
    let mut workers = WorkerServiceClient::new(connect(first.address).await);
    let mut sweeps = SweepServiceClient::new(connect(first.address).await);
    sweeps.submit_sweep(v1::SubmitSweepRequest { text, file_name: String::new(), dry_run: false, retry_failed: false }).await.unwrap();
    let inside = v1::OpenSessionRequest { embedded: true, ..open_request("inside") };
    let inside = workers.open_session(inside).await.unwrap().into_inner().session;
    let outside = workers.open_session(open_request("outside")).await.unwrap().into_inner().session;
    let claim = |session: &str| v1::ClaimRequest { session: session.into(), max_jobs: 1, wait_ms: 0, sweep: 0 };
    let lost = workers.claim(claim(&inside)).await.unwrap().into_inner().leases.remove(0);
    let kept = workers.claim(claim(&outside)).await.unwrap().into_inner().leases.remove(0);
    // It ends without closing a session, as a killed one does.
    shutdown.cancel();
    timeout(DEADLINE, first.join).await.unwrap().unwrap().unwrap();
    drop(first.store);

    let shutdown = CancellationToken::new();
    let second = start(config(&path), shutdown.clone()).await.unwrap();
    let mut workers = WorkerServiceClient::new(connect(second.address).await);
    let gone = workers.claim(claim(&inside)).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound, "the embedded worker died with its process");
    let retried = workers.claim(claim(&outside)).await.unwrap().into_inner().leases.remove(0);
    assert_eq!((retried.job_key, retried.attempt), (lost.job_key, 2));
    let result = outcome(&kept.config_json, 0.9, &[(1.0, 0.9)]);
    let complete = v1::CompleteRequest { session: outside, attempt: Some(attempt(&kept)), outcome: Some(result.into()) };
    assert_eq!(workers.complete(complete).await.unwrap().into_inner().answer(), v1::ReportAnswer::Accepted, "the other one lived on");
    shutdown.cancel();
    timeout(DEADLINE, second.join).await.unwrap().unwrap().unwrap();
}
