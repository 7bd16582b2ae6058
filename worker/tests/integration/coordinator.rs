//! The other side of the worker's contract, in memory: leases that are fenced by session and attempt, and faults on request.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use offramp_domain::job::JobConfig;
use offramp_proto::v1::worker_service_server::{WorkerService, WorkerServiceServer};
use offramp_proto::v1::{self, ReportAnswer};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};

use crate::deadline::within_deadline;

/// Job key and attempt.
pub(crate) type Id = (String, u32);

/// Everything that there is to know; tests read it, and change it to cause trouble.
#[derive(Debug, Default)]
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
    /// Most leases out at one time.
    pub(crate) most_leased: usize,
    /// How often each lease was renewed.
    pub(crate) n_renewals: BTreeMap<Id, u32>,
    pub(crate) n_stale_reports: u32,
    /// What every call is answered with, and how often that has happened.
    pub(crate) trouble: Option<Code>,
    pub(crate) n_troubles: u32,
    /// What a result is answered with.
    pub(crate) refuse_results: Option<Code>,
    /// Whether results are left unanswered for now, and whose came in meanwhile.
    pub(crate) hold_results: bool,
    pub(crate) held_results: BTreeSet<Id>,
}

impl State {
    fn check(&mut self, session: Option<&str>) -> Result<(), Status> {
        if let Some(code) = self.trouble {
            self.n_troubles += 1;
            return Err(Status::new(code, "trouble on request"));
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
        let service = Service { state: Arc::clone(&self.state) };
        self.serving = Some(tokio::spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            let incoming = tokio_stream::StreamExt::map(incoming, |connection: std::io::Result<TcpStream>| {
                connection.and_then(|connection| connection.set_nodelay(true).map(|()| connection))
            });
            tonic::transport::Server::builder().add_service(WorkerServiceServer::new(service)).serve_with_incoming(incoming).await.unwrap();
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

fn report(accepted: bool, state: &mut State) -> v1::ReportResponse {
    state.n_stale_reports += u32::from(!accepted);
    let answer = if accepted { ReportAnswer::Accepted } else { ReportAnswer::Stale };
    v1::ReportResponse { answer: answer.into() }
}

#[tonic::async_trait]
impl WorkerService for Service {
    async fn open_session(&self, request: Request<v1::OpenSessionRequest>) -> Result<Response<v1::OpenSessionResponse>, Status> {
        self.answer(None, |state| {
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
            let n_jobs = state.queue.len().min(request.max_jobs as usize);
            let leases: Vec<v1::Lease> = state.queue.drain(..n_jobs).collect();
            for lease in &leases {
                state.leased.insert((lease.job_key.clone(), lease.attempt), request.session.clone());
            }
            state.most_leased = state.most_leased.max(state.leased.len());
            v1::ClaimResponse { leases }
        })
    }

    async fn heartbeat(&self, request: Request<v1::HeartbeatRequest>) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let request = request.into_inner();
        self.answer(Some(&request.session), |state| {
            let mut stale = Vec::new();
            for entry in request.attempts {
                let id = id(entry.attempt.clone());
                if !state.holds(&id, &request.session) {
                    stale.extend(entry.attempt);
                    continue;
                }
                *state.n_renewals.entry(id.clone()).or_default() += 1;
                if let Some(progress) = entry.progress {
                    state.epochs.entry(id).or_default().insert(progress.epoch);
                }
            }
            v1::HeartbeatResponse { stale }
        })
    }

    async fn complete(&self, request: Request<v1::CompleteRequest>) -> Result<Response<v1::ReportResponse>, Status> {
        let request = request.into_inner();
        let refusal = self.state.borrow().refuse_results;
        if let Some(code) = refusal {
            return Err(Status::new(code, "the outcome has 4 exits, the job 3"));
        }
        self.state.send_modify(|state| {
            if state.hold_results {
                state.held_results.insert(id(request.attempt.clone()));
            }
        });
        // Fails only where the test is over.
        let _ = self.state.subscribe().wait_for(|state| !state.hold_results).await;
        self.answer(Some(&request.session), |state| {
            let id = id(request.attempt);
            let held = state.holds(&id, &request.session);
            if held {
                state.leased.remove(&id);
                state.completed.insert(id, request.outcome.expect("a result is complete"));
            }
            report(held, state)
        })
    }

    async fn fail(&self, request: Request<v1::FailRequest>) -> Result<Response<v1::ReportResponse>, Status> {
        let request = request.into_inner();
        let kind = request.kind();
        self.answer(Some(&request.session), |state| {
            let id = id(request.attempt);
            let held = state.holds(&id, &request.session);
            if held {
                state.leased.remove(&id);
                state.failed.insert(id, (kind, request.message));
            }
            report(held, state)
        })
    }

    async fn release(&self, request: Request<v1::ReleaseRequest>) -> Result<Response<v1::ReleaseResponse>, Status> {
        let request = request.into_inner();
        self.answer(Some(&request.session), |state| {
            for attempt in request.attempts {
                let id = id(Some(attempt));
                if state.holds(&id, &request.session) {
                    state.leased.remove(&id);
                    state.released.push(id);
                }
            }
            v1::ReleaseResponse {}
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
