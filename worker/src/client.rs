//! The worker's line to the coordinator: deadlines, retries, sessions.
//!
//! Every call has a deadline and is repeated until it is answered; all of them may be (see `offramp/v1/worker.proto`). A session that the
//! coordinator does not know (any more) is replaced in passing. How long there has been no contact is counted over all calls together.

mod back_off;
mod contact;
mod manners;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use offramp_proto::v1::worker_service_client::WorkerServiceClient;
use offramp_proto::v1::{self, OpenSessionRequest};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};

use crate::chance;
use contact::Contact;
use manners::Manners;

/// Deadline of a call that the coordinator answers at once. SQLite may be busy for seconds; a network that loses packets needs some too.
pub(crate) const CALL_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection may take to come about.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How often a connection is probed, also while a long poll waits on it: a coordinator whose machine is gone sends nothing to say so.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// The shortest interval between heartbeats that is followed.
const SHORTEST_HEARTBEAT: Duration = Duration::from_millis(10);

/// The call that introduces a worker.
const OPEN_SESSION: &str = "OpenSession";

/// The stubs, over a connection that comes back by itself.
pub(crate) type Rpc = WorkerServiceClient<InterceptedService<Channel, Manners>>;

/// Why a call got no answer that could be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// There has been no contact for too long.
    #[error("no contact with the coordinator for {:.1} s ({reason})", .after.as_secs_f64())]
    Unreachable {
        /// How long.
        after: Duration,
        /// Why the last call failed.
        reason: String,
    },
    /// The coordinator understood and refused: repeating the call would not help.
    #[error("the coordinator refused {rpc}: {}", .status.message())]
    Refused {
        /// The call.
        rpc: &'static str,
        /// Its answer. Not a source: its words are the message.
        status: Box<Status>,
    },
}

/// What the coordinator agreed to.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    /// How often it wants a heartbeat.
    pub(crate) heartbeat: Duration,
    /// Deadline of a heartbeat: one may get lost without the lease running out.
    pub(crate) heartbeat_within: Duration,
}

/// How to connect to a coordinator at `http://host:port`.
///
/// # Errors
/// When that is not a URL.
pub(crate) fn endpoint(coordinator: &str) -> Result<Endpoint, tonic::transport::Error> {
    Ok(Endpoint::from_shared(coordinator.to_owned())?
        .connect_timeout(CONNECT_WITHIN)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_INTERVAL)
        .keep_alive_while_idle(true))
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Client {
    channel: Channel,
    introduction: OpenSessionRequest,
    contact: Contact,
    /// The lock is held while a session is being opened.
    session: Mutex<Current>,
    seed: u64,
    /// Calls so far, each of which backs off in its own time.
    n_calls: AtomicU64,
}

/// The session that there is.
#[derive(Debug, Default)]
struct Current {
    session: Option<Session>,
    /// Sessions lost so far.
    n_lost: u64,
}

/// The tries at one call.
#[derive(Debug)]
pub(crate) struct Tries {
    rpc: &'static str,
    within: Duration,
    seed: u64,
    n_failures: u32,
}

impl Client {
    /// A client that connects when it is first used. Clients with different seeds come back at different times when they have lost the same
    /// coordinator.
    pub(crate) fn new(endpoint: &Endpoint, introduction: OpenSessionRequest, give_up_after: Duration, seed: u64) -> Self {
        let contact = Contact::new(endpoint.uri().to_string().trim_end_matches('/').to_owned(), give_up_after);
        let (session, n_calls) = (Mutex::default(), AtomicU64::default());
        Self { channel: endpoint.connect_lazy(), introduction, contact, session, seed, n_calls }
    }

    /// The current session; opens one where there is none.
    ///
    /// # Errors
    /// When that is refused, or the coordinator cannot be reached for too long.
    pub(crate) async fn session(&self) -> Result<Session, CallError> {
        let mut current = self.session.lock().await;
        if let Some(session) = &current.session {
            return Ok(session.clone());
        }
        if current.n_lost > 0 {
            // A coordinator that stood still for longer than its leases last loses every session in one moment.
            sleep(back_off::reopening(self.seed, current.n_lost)).await;
        }
        let mut tries = self.tries(OPEN_SESSION, CALL_WITHIN);
        loop {
            let introduction = self.introduction.clone();
            let mut rpc = self.rpc(CALL_WITHIN);
            match self.try_once(OPEN_SESSION, CALL_WITHIN, async move { rpc.open_session(introduction).await }).await? {
                Attempted::Answer(opened) => {
                    let lease = Duration::from_millis(opened.lease_ms.into());
                    let opened = Session {
                        id: opened.session,
                        // A coordinator that names no interval would otherwise be flooded.
                        heartbeat: Duration::from_millis(opened.heartbeat_ms.into()).max(SHORTEST_HEARTBEAT),
                        heartbeat_within: (lease / 3).clamp(CALL_WITHIN / 10, CALL_WITHIN),
                    };
                    tracing::info!(session = opened.id, coordinator = self.contact.coordinator(), "session opened");
                    return Ok(current.session.insert(opened).clone());
                }
                Attempted::SessionLost(status) => return Err(CallError::Refused { rpc: OPEN_SESSION, status: Box::new(status) }),
                Attempted::Failed { at_least } => self.back_off(&mut tries, at_least).await,
            }
        }
    }

    /// The current session's id, if there is one, without opening one.
    pub(crate) async fn current_session(&self) -> Option<String> {
        self.session.lock().await.session.as_ref().map(|session| session.id.clone())
    }

    /// Calls until there is an answer. `call` gets the stubs and the session to put into the request, and is asked again for each try.
    ///
    /// # Errors
    /// When the call is refused, or the coordinator cannot be reached for too long.
    pub(crate) async fn call<T, Fut>(
        &self,
        rpc: &'static str,
        within: Duration,
        mut call: impl FnMut(Rpc, String) -> Fut + Send,
    ) -> Result<T, CallError>
    where
        Fut: Future<Output = Result<Response<T>, Status>> + Send,
    {
        let mut tries = self.tries(rpc, within);
        loop {
            if let Some(answer) = self.try_call(&mut tries, &mut call).await? {
                return Ok(answer);
            }
        }
    }

    /// Begins a call that is tried for as long as the caller likes.
    pub(crate) fn tries(&self, rpc: &'static str, within: Duration) -> Tries {
        let n_calls = self.n_calls.fetch_add(1, Ordering::Relaxed);
        Tries { rpc, within, seed: chance::mix(&[self.seed, n_calls]), n_failures: 0 }
    }

    /// Tries a call once; `None` where it may be tried again at once, because the pause before that is over.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub(crate) async fn try_call<T, Fut>(
        &self,
        tries: &mut Tries,
        mut call: impl FnMut(Rpc, String) -> Fut + Send,
    ) -> Result<Option<T>, CallError>
    where
        Fut: Future<Output = Result<Response<T>, Status>> + Send,
    {
        let session = self.session().await?;
        let made = call(self.rpc(tries.within), session.id.clone());
        match self.try_once(tries.rpc, tries.within, made).await? {
            Attempted::Answer(answer) => return Ok(Some(answer)),
            Attempted::SessionLost(status) => {
                tracing::info!(session = session.id, %status, "the coordinator does not know the session any more");
                self.forget(&session).await;
                // Should every new session be unknown as well, this must not spin.
                self.back_off(tries, Duration::ZERO).await;
            }
            Attempted::Failed { at_least } => self.back_off(tries, at_least).await,
        }
        Ok(None)
    }

    /// Whether the coordinator lives in this very process.
    pub(crate) fn is_embedded(&self) -> bool {
        self.introduction.embedded
    }

    /// Whether the coordinator last answered that it cannot do its work.
    pub(crate) fn is_troubled(&self) -> bool {
        self.contact.is_troubled()
    }

    /// Ends the session, in one try: it lapses anyway.
    pub(crate) async fn close(&self, within: Duration) {
        let Some(session) = self.current_session().await else { return };
        let mut rpc = self.rpc(within);
        match timeout(within, rpc.close_session(v1::CloseSessionRequest { session })).await {
            Ok(Ok(_)) => {}
            Ok(Err(status)) => tracing::info!(%status, "the session was not closed and will lapse"),
            Err(_) => tracing::info!("the session was not closed in time and will lapse"),
        }
    }

    fn rpc(&self, within: Duration) -> Rpc {
        WorkerServiceClient::with_interceptor(self.channel.clone(), Manners { within })
    }

    async fn forget(&self, lost: &Session) {
        let mut current = self.session.lock().await;
        // Another call may have replaced it already.
        if current.session.take_if(|session| session.id == lost.id).is_some() {
            current.n_lost += 1;
        }
    }

    async fn try_once<T>(
        &self,
        rpc: &'static str,
        within: Duration,
        call: impl Future<Output = Result<Response<T>, Status>> + Send,
    ) -> Result<Attempted<T>, CallError> {
        let answer = timeout(within, call).await.unwrap_or_else(|_| Err(Status::deadline_exceeded(format!("no answer within {within:?}"))));
        let status = match answer {
            Ok(answer) => {
                self.contact.made();
                return Ok(Attempted::Answer(answer.into_inner()));
            }
            Err(status) => status,
        };
        let at_least = back_off::asked_for(&status);
        match verdict(rpc, &status) {
            Verdict::NoContact => match self.contact.missed(&status) {
                Some(after) => Err(CallError::Unreachable { after, reason: contact::reason(&status) }),
                None => Ok(Attempted::Failed { at_least }),
            },
            // Somebody looks after a coordinator of its own, sooner or later. One in this process has nobody but whoever waits for us.
            Verdict::Trouble => match self.contact.troubled(rpc, &status) {
                Some(_) if self.introduction.embedded => Err(CallError::Refused { rpc, status: Box::new(status) }),
                _ => Ok(Attempted::Failed { at_least }),
            },
            Verdict::SessionLost => {
                self.contact.made();
                Ok(Attempted::SessionLost(status))
            }
            Verdict::Refused => {
                self.contact.made();
                Err(CallError::Refused { rpc, status: Box::new(status) })
            }
        }
    }

    /// Waits before the next try: for as long as the coordinator asked to be left alone, and a while of its own.
    async fn back_off(&self, tries: &mut Tries, at_least: Duration) {
        tries.n_failures += 1;
        let delay = at_least + back_off::delay(tries.seed, tries.n_failures);
        sleep(delay.min(self.contact.left())).await;
    }
}

/// What one try came to.
enum Attempted<T> {
    Answer(T),
    SessionLost(Status),
    /// Not before `at_least` it is to be tried again.
    Failed {
        at_least: Duration,
    },
}

/// What a status means for the caller.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nobody there, or too slow: try again, but not for ever.
    NoContact,
    /// Somebody there who cannot answer now: try again.
    Trouble,
    /// Open another session and try again.
    SessionLost,
    /// Trying again would not help.
    Refused,
}

fn verdict(rpc: &str, status: &Status) -> Verdict {
    // A status with a source was made here, of a connection that failed.
    if std::error::Error::source(status).is_some() {
        return Verdict::NoContact;
    }
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded => Verdict::NoContact,
        Code::NotFound => Verdict::SessionLost,
        // This worker's trainer does not go with the results that are there, or this build not with the coordinator's. The latter may come
        // to light in any call: the coordinator may have been replaced while the session went on.
        Code::FailedPrecondition if rpc == OPEN_SESSION || manners::is_of_another_protocol(status) => Verdict::Refused,
        // Such as a full or read-only disk: somebody will see to it.
        Code::Cancelled
        | Code::Unknown
        | Code::Internal
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::DataLoss => Verdict::Trouble,
        // `Ok` is no failure and cannot come here; refusing it is the safe reading.
        Code::Ok
        | Code::InvalidArgument
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_of_one_worker_back_off_in_times_of_their_own() {
        let client = |seed| {
            let endpoint = endpoint("http://127.0.0.1:1").unwrap();
            Client::new(&endpoint, OpenSessionRequest::default(), Duration::from_mins(1), seed)
        };
        let seeds = |client: &Client| (0..128).map(|_| client.tries("Claim", CALL_WITHIN).seed).collect::<Vec<_>>();
        let (one, other) = (client(1), client(2));
        let mut delays: Vec<Duration> = seeds(&one).into_iter().chain(seeds(&other)).map(|seed| back_off::delay(seed, 7)).collect();
        delays.sort();
        delays.dedup();
        assert_eq!(delays.len(), 256);
    }

    #[test]
    fn statuses_have_verdicts() {
        assert_eq!(verdict("Report", &Status::unavailable("")), Verdict::NoContact);
        assert_eq!(verdict("Report", &Status::deadline_exceeded("")), Verdict::NoContact);
        assert_eq!(verdict("Report", &Status::not_found("session")), Verdict::SessionLost);
        assert_eq!(verdict("Report", &Status::failed_precondition("read-only database")), Verdict::Trouble);
        assert_eq!(verdict(OPEN_SESSION, &Status::failed_precondition("simulated")), Verdict::Refused);
        assert_eq!(verdict("Report", &Status::internal("disk full")), Verdict::Trouble);
        assert_eq!(verdict("Report", &Status::unimplemented("")), Verdict::Refused);
        assert_eq!(verdict("Report", &Status::unauthenticated("")), Verdict::Refused);
        let mut newer = Status::failed_precondition("this coordinator speaks protocol 2");
        newer.metadata_mut().insert(offramp_proto::PROTOCOL_HEADER, 2.into());
        assert_eq!(verdict("Report", &newer), Verdict::Refused);
        // A broken connection is no answer, whatever code it is given.
        let broken = Status::from_error(Box::new(std::io::Error::from(std::io::ErrorKind::BrokenPipe)));
        assert_eq!(verdict("Report", &broken), Verdict::NoContact);
    }
}
