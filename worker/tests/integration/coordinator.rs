//! The other side of the worker's contract, in memory: leases that are fenced by session and attempt, and faults on request.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use offramp_domain::job::JobConfig;
use offramp_proto::v1::attempt_report::End;
use offramp_proto::v1::worker_service_server::{WorkerService, WorkerServiceServer};
use offramp_proto::v1::{self, ReportAnswer};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::deadline::within_deadline;

/// Job key and attempt.
pub(crate) type Id = (String, u32);

/// Everything that there is to know; tests read it, and change it to cause trouble.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct State {
    pub(crate) queue: VecDeque<v1::Lease>,
    /// The session that holds each lease.
    pub(crate) leased: BTreeMap<Id, String>,
    pub(crate) epochs: BTreeMap<Id, BTreeSet<u32>>,
    pub(crate) completed: BTreeMap<Id, v1::Outcome>,
    pub(crate) failed: BTreeMap<Id, (v1::FailureKind, String)>,
    pub(crate) released: Vec<Id>,
    pub(crate) sessions: Vec<(String, v1::OpenSessionRequest)>,
    /// Sessions that are over, or that the coordinator has forgotten.
    pub(crate) ended: BTreeSet<String>,
    pub(crate) n_claims: u32,
    /// Calls that came without the number of the protocol, or with another.
    pub(crate) n_foreign: u32,
    /// For each try at a report: how many there were in it, and how many jobs it asked for.
    pub(crate) reports: Vec<(usize, u32)>,
    /// How many of these get no answer from now on.
    pub(crate) n_to_fail: u32,
    /// Jobs that somebody cancelled while they were leased.
    pub(crate) cancelled: BTreeSet<Id>,
    /// What every heartbeat is told, and how often it was.
    pub(crate) drain: bool,
    pub(crate) give_back: bool,
    pub(crate) n_told_to_drain: u32,
    /// Most leases out at one time.
    pub(crate) most_leased: usize,
    /// How often each lease was renewed.
    pub(crate) n_renewals: BTreeMap<Id, u32>,
    pub(crate) n_stale_reports: u32,
    /// What every call is answered with, and how often that has happened.
    pub(crate) trouble: Option<Code>,
    pub(crate) n_troubles: u32,
    /// What the next call is asked to wait for, when that was, and when the first session was opened.
    pub(crate) ask_for_pause: Option<Duration>,
    pub(crate) paused_at: Option<Instant>,
    pub(crate) opened_at: Option<Instant>,
    /// Whether somebody has put a coordinator of another protocol in this one's place.
    pub(crate) speaks_another_protocol: bool,
    /// What a call with a result in it is answered with.
    pub(crate) refuse_results: Option<Code>,
    /// A report that no call can be answered with.
    pub(crate) poison: Option<Id>,
    /// What single reports are answered with.
    pub(crate) answers: BTreeMap<Id, ReportAnswer>,
    /// Whether reports are left unanswered for now, and whose came in meanwhile.
    pub(crate) hold_reports: bool,
    pub(crate) held_reports: BTreeSet<Id>,
}

impl State {
    fn check(&mut self, session: Option<&str>) -> Result<(), Status> {
        if let Some(code) = self.trouble {
            self.n_troubles += 1;
            return Err(Status::new(code, "trouble on request"));
        }
        if let Some(pause) = self.ask_for_pause.take() {
            self.paused_at = Some(Instant::now());
            let details = ErrorDetails::with_retry_info(Some(pause));
            return Err(Status::with_error_details(Code::Unavailable, "too many at once", details));
        }
        if self.speaks_another_protocol {
            let mut status = Status::failed_precondition("this coordinator speaks protocol 2, the worker 1");
            status.metadata_mut().insert("offramp-protocol", 2.into());
            return Err(status);
        }
        match session {
            Some(session) if self.ended.contains(session) || !self.sessions.iter().any(|(id, _)| id == session) => {
                Err(Status::not_found(format!("no session `{session}`")))
            }
            _ => Ok(()),
        }
    }

    fn holds(&self, id: &Id, session: &str) -> bool {
        self.leased.get(id).is_some_and(|holder| holder == session)
    }

    fn lease(&mut self, session: &str, max_jobs: u32) -> Vec<v1::Lease> {
        let n_jobs = self.queue.len().min(max_jobs as usize);
        let leases: Vec<v1::Lease> = self.queue.drain(..n_jobs).collect();
        for lease in &leases {
            self.leased.insert((lease.job_key.clone(), lease.attempt), session.to_owned());
        }
        self.most_leased = self.most_leased.max(self.leased.len());
        leases
    }

    fn report(&mut self, session: &str, id: Id, end: End) -> v1::ReportResult {
        let result = |answer: ReportAnswer, reason: &str| v1::ReportResult { answer: answer.into(), reason: reason.into() };
        match self.answers.get(&id) {
            Some(ReportAnswer::Refused) if !matches!(end, End::Outcome(_)) => {}
            Some(answer) => return result(*answer, "the outcome has 4 exits, the job 3"),
            None => {}
        }
        if !self.holds(&id, session) {
            self.n_stale_reports += 1;
            return result(ReportAnswer::Stale, "");
        }
        self.leased.remove(&id);
        match end {
            End::Outcome(outcome) => drop(self.completed.insert(id, outcome)),
            End::Failure(failure) => drop(self.failed.insert(id, (failure.kind(), failure.message))),
            End::GivenBack(v1::GivenBack {}) => self.released.push(id),
        }
        result(ReportAnswer::Accepted, "")
    }

    /// Cancels a job that is leased.
    pub(crate) fn cancel(&mut self, id: &Id) {
        self.leased.remove(id).expect("it is leased");
        self.cancelled.insert(id.clone());
    }
}

/// A coordinator on loopback.
#[derive(Debug)]
pub(crate) struct Coordinator {
    pub(crate) state: Arc<watch::Sender<State>>,
    pub(crate) address: SocketAddr,
    socket: Option<TcpSocket>,
    serving: Option<JoinHandle<()>>,
}

impl Coordinator {
    /// One that has an address, but refuses connections until it is told to listen.
    pub(crate) fn absent() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        Self { state: Arc::new(watch::Sender::new(State::default())), address, socket: Some(socket), serving: None }
    }

    /// One that serves.
    pub(crate) fn start() -> Self {
        let mut coordinator = Self::absent();
        coordinator.listen();
        coordinator
    }

    pub(crate) fn listen(&mut self) {
        let listener = self.socket.take().expect("it listens once").listen(64).unwrap();
        let state = Arc::clone(&self.state);
        let listen_to_protocol = move |request: Request<()>| {
            let is_ours = request.metadata().get("offramp-protocol").is_some_and(|number| number == "1");
            if !is_ours {
                state.send_modify(|state| state.n_foreign += 1);
            }
            Ok(request)
        };
        let service = WorkerServiceServer::with_interceptor(Service { state: Arc::clone(&self.state) }, listen_to_protocol);
        self.serving = Some(tokio::spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            let incoming = tokio_stream::StreamExt::map(incoming, |connection: std::io::Result<TcpStream>| {
                connection.and_then(|connection| connection.set_nodelay(true).map(|()| connection))
            });
            tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap();
        }));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Queues a job as its first attempt.
    pub(crate) fn submit(&self, config: &JobConfig) -> Id {
        let id = (config.key().as_str().to_owned(), 1);
        self.submit_lease(v1::Lease { job_key: id.0.clone(), attempt: 1, config_json: config.canonical_json() });
        id
    }

    pub(crate) fn submit_lease(&self, lease: v1::Lease) {
        self.state.send_modify(|state| state.queue.push_back(lease));
    }

    /// Waits for enough heartbeats that hold this attempt for whatever else the worker is about to do to show.
    pub(crate) async fn renewed_again(&self, id: &Id) {
        let n_renewals = |state: &State| state.n_renewals.get(id).copied().unwrap_or_default();
        let before = n_renewals(&self.state.borrow());
        self.until("it is renewed again and again", |state| n_renewals(state) >= before + 20).await;
    }

    /// Waits for a state, and says something about it.
    pub(crate) async fn until(&self, what: &str, condition: impl FnMut(&State) -> bool) {
        let mut state = self.state.subscribe();
        within_deadline(what, state.wait_for(condition)).await.expect("the sender lives here");
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

#[derive(Debug)]
struct Service {
    state: Arc<watch::Sender<State>>,
}

impl Service {
    /// Runs one call against the state.
    fn answer<T>(&self, session: Option<&str>, act: impl FnOnce(&mut State) -> T) -> Result<Response<T>, Status> {
        let mut answer = Err(Status::internal("not answered"));
        self.state.send_modify(|state| answer = state.check(session).map(|()| Response::new(act(state))));
        answer
    }
}

fn id(attempt: Option<v1::AttemptId>) -> Id {
    let attempt = attempt.expect("every write names its attempt");
    (attempt.job_key, attempt.attempt)
}

#[tonic::async_trait]
impl WorkerService for Service {
    async fn open_session(&self, request: Request<v1::OpenSessionRequest>) -> Result<Response<v1::OpenSessionResponse>, Status> {
        self.answer(None, |state| {
            state.opened_at.get_or_insert_with(Instant::now);
            let session = format!("session-{}", state.sessions.len());
            state.sessions.push((session.clone(), request.into_inner()));
            v1::OpenSessionResponse { session, lease_ms: 2_000, heartbeat_ms: 20, coordinator_version: "test".into() }
        })
    }

    async fn claim(&self, request: Request<v1::ClaimRequest>) -> Result<Response<v1::ClaimResponse>, Status> {
        let request = request.into_inner();
        assert!((1..=64).contains(&request.max_jobs) && request.wait_ms <= 60_000, "{request:?}");
        self.answer(Some(&request.session), |state| state.n_claims += 1)?;
        let claimable = |state: &State| !state.queue.is_empty() || state.trouble.is_some() || state.ended.contains(&request.session);
        let wait = Duration::from_millis(request.wait_ms.into());
        let mut state = self.state.subscribe();
        // Another claim may take the job first: then this one answers with nothing, as it may.
        let _ = tokio::time::timeout(wait, state.wait_for(claimable)).await;
        drop(state);
        self.answer(Some(&request.session), |state| {
            let leases = state.lease(&request.session, request.max_jobs);
            v1::ClaimResponse { leases }
        })
    }

    async fn heartbeat(&self, request: Request<v1::HeartbeatRequest>) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let request = request.into_inner();
        self.answer(Some(&request.session), |state| {
            let (mut stale, mut cancelled) = (Vec::new(), Vec::new());
            for entry in request.attempts {
                let id = id(entry.attempt.clone());
                if !state.holds(&id, &request.session) {
                    cancelled.extend(entry.attempt.clone().filter(|_| state.cancelled.contains(&id)));
                    stale.extend(entry.attempt);
                    continue;
                }
                *state.n_renewals.entry(id.clone()).or_default() += 1;
                if let Some(progress) = entry.progress {
                    state.epochs.entry(id).or_default().insert(progress.epoch);
                }
            }
            state.n_told_to_drain += u32::from(state.drain);
            v1::HeartbeatResponse { stale, cancelled, drain: state.drain, give_back: state.give_back }
        })
    }

    async fn report(&self, request: Request<v1::ReportRequest>) -> Result<Response<v1::ReportResponse>, Status> {
        let v1::ReportRequest { session, reports, claim_jobs, .. } = request.into_inner();
        assert!((1..=64).contains(&reports.len()) && claim_jobs <= 64);
        let reports: Vec<(Id, End)> = reports.into_iter().map(|report| (id(report.attempt), report.end.expect("it has an end"))).collect();
        let mut fails = Ok(());
        self.state.send_modify(|state| {
            state.reports.push((reports.len(), claim_jobs));
            if state.hold_reports {
                state.held_reports.extend(reports.iter().map(|(id, _)| id.clone()));
            }
            let has_result = reports.iter().any(|(_, end)| matches!(end, End::Outcome(_)));
            if state.n_to_fail > 0 {
                state.n_to_fail -= 1;
                fails = Err(Status::unavailable("unanswered on request"));
            } else if let Some(code) = state.refuse_results.filter(|_| has_result) {
                fails = Err(Status::new(code, "the outcome has 4 exits, the job 3"));
            } else if reports.iter().any(|(id, _)| state.poison.as_ref() == Some(id)) {
                fails = Err(Status::invalid_argument("poison on request"));
            }
        });
        fails?;
        // Fails only where the test is over.
        let _ = self.state.subscribe().wait_for(|state| !state.hold_reports).await;
        self.answer(Some(&session), |state| {
            let results = reports.into_iter().map(|(id, end)| state.report(&session, id, end)).collect();
            v1::ReportResponse { results, leases: state.lease(&session, claim_jobs) }
        })
    }

    async fn close_session(&self, request: Request<v1::CloseSessionRequest>) -> Result<Response<v1::CloseSessionResponse>, Status> {
        let session = request.into_inner().session;
        self.answer(None, |state| {
            state.leased.retain(|_, holder| *holder != session);
            state.ended.insert(session.clone());
            v1::CloseSessionResponse {}
        })
    }
}
