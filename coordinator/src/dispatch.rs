//! Gathers what workers ask for into transactions, and keeps waiting claims.
//!
//! One task owns the writing. Requests that arrive while a transaction commits make up the next one, so under load many share a commit, and alone
//! each is carried out at once. A claim that finds nothing is parked, and tried again together with all others whenever jobs may have become
//! claimable: waiting workers cost the database nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::clock::Clock;
use crate::live::Live;
use crate::store::{Applied, AttemptEnd, AttemptReport, DatabaseError, Reply, Request, SessionError, Store};

/// Requests of one transaction: many times what shares a commit under load, and a bound on how long one takes.
const BATCH_MOST: usize = 256;
/// Requests that wait to be carried out; beyond, callers wait before they are let in.
const QUEUE_MOST: usize = 4_096;
/// Parked claims are tried this often without a reason that was told here: another coordinator may have queued jobs.
const LOOK: Duration = Duration::from_millis(500);
/// A transaction that takes longer waits for a database that stands still. Above the time that a busy file or lock is waited for.
const APPLY_WITHIN: Duration = Duration::from_secs(12);
/// How often a batch is tried again that lost against another transaction or its connection.
const RETRIES: u32 = 2;

/// Why a request was not carried out.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DispatchError {
    /// Its session is over.
    #[error(transparent)]
    Session(#[from] Arc<SessionError>),
    /// The database.
    #[error(transparent)]
    Database(#[from] Arc<DatabaseError>),
    /// The database stands still.
    #[error("the database has not answered for {} s", APPLY_WITHIN.as_secs())]
    Hangs,
    /// The coordinator is ending.
    #[error("the coordinator is shutting down")]
    Ending,
}

type Answer = Result<Reply, DispatchError>;

struct Ticket {
    request: Request,
    /// Whether a claim that finds nothing waits.
    parks: bool,
    reply: oneshot::Sender<Answer>,
}

/// Takes requests in.
#[derive(Debug, Clone)]
pub(crate) struct Dispatch {
    tickets: mpsc::Sender<Ticket>,
}

impl Dispatch {
    /// Carries a request out.
    pub(crate) async fn ask(&self, request: Request) -> Answer {
        self.hand_in(request, false).await?.await.unwrap_or(Err(DispatchError::Ending))
    }

    /// Carries a claim out as soon as there is something to claim; empty-handed after `wait`.
    pub(crate) async fn claim(&self, request: Request, wait: Duration) -> Answer {
        let reply = self.hand_in(request, !wait.is_zero()).await?;
        if wait.is_zero() {
            return reply.await.unwrap_or(Err(DispatchError::Ending));
        }
        // Giving up drops the receiver; what is leased at that very moment goes back at once.
        match tokio::time::timeout(wait, reply).await {
            Ok(answered) => answered.unwrap_or(Err(DispatchError::Ending)),
            Err(_) => Ok(Reply::default()),
        }
    }

    async fn hand_in(&self, request: Request, parks: bool) -> Result<oneshot::Receiver<Answer>, DispatchError> {
        let (reply, answer) = oneshot::channel();
        self.tickets.send(Ticket { request, parks, reply }).await.map_err(|_| DispatchError::Ending)?;
        Ok(answer)
    }
}

/// Starts the task; it ends with `end`, and stops parking claims with `shutdown`.
pub(crate) fn start(
    store: Store,
    clock: Clock,
    live: Arc<Live>,
    lease: Duration,
    shutdown: CancellationToken,
    end: CancellationToken,
) -> (Dispatch, tokio::task::JoinHandle<()>) {
    let (tickets, receiver) = mpsc::channel(QUEUE_MOST);
    let worker = Worker { store, clock, live, lease_us: lease.as_micros() as i64, parked: VecDeque::new() };
    (Dispatch { tickets }, tokio::spawn(worker.run(receiver, shutdown, end)))
}

struct Worker {
    store: Store,
    clock: Clock,
    live: Arc<Live>,
    lease_us: i64,
    parked: VecDeque<Ticket>,
}

impl Worker {
    async fn run(mut self, mut tickets: mpsc::Receiver<Ticket>, shutdown: CancellationToken, end: CancellationToken) {
        let mut queue = self.live.watch_queue();
        loop {
            let mut batch = Vec::new();
            let waiting = !self.parked.is_empty();
            let wake = tokio::select! {
                n_tickets = tickets.recv_many(&mut batch, BATCH_MOST) => {
                    if n_tickets == 0 {
                        break;
                    }
                    queue.has_changed().unwrap_or(false)
                }
                changed = queue.changed(), if waiting => changed.is_ok(),
                () = tokio::time::sleep(LOOK), if waiting => true,
                () = shutdown.cancelled(), if waiting => {
                    for ticket in self.parked.drain(..) {
                        let _ = ticket.reply.send(Ok(Reply::default()));
                    }
                    false
                }
                () = end.cancelled() => break,
            };
            if wake {
                queue.mark_unchanged();
                // Whoever hung up waits no more; who waited longest comes first.
                self.parked.retain(|ticket| !ticket.reply.is_closed());
                let mut woken: Vec<Ticket> = self.parked.drain(..).collect();
                woken.append(&mut batch);
                batch = woken;
            }
            if !batch.is_empty() {
                self.carry_out(batch, shutdown.is_cancelled()).await;
            }
        }
    }

    /// Carries a batch out in one transaction or, where that fails, each request in its own: then only the one at fault hears of it.
    async fn carry_out(&mut self, batch: Vec<Ticket>, ending: bool) {
        let requests: Vec<Request> = batch.iter().map(|ticket| ticket.request.clone()).collect();
        let answers = match self.apply(&requests).await {
            Ok(answers) => answers,
            // A standing or missing database fails all alike.
            Err(failure @ (DispatchError::Hangs | DispatchError::Ending)) => vec![Err(failure); batch.len()],
            Err(DispatchError::Database(cause)) if batch.len() == 1 || cause.is_passing() => {
                vec![Err(DispatchError::Database(cause)); batch.len()]
            }
            Err(failure) => {
                debug!(error = crate::chain(&failure), n_requests = batch.len(), "a batch failed, its requests are carried out one by one");
                let mut answers = Vec::with_capacity(batch.len());
                for request in &requests {
                    answers.extend(self.apply(std::slice::from_ref(request)).await.unwrap_or_else(|failure| vec![Err(failure)]));
                }
                answers
            }
        };
        let mut unwanted = Vec::new();
        for (ticket, answer) in batch.into_iter().zip(answers) {
            if ticket.request.beats.is_some() && matches!(answer, Err(DispatchError::Database(_) | DispatchError::Hangs)) {
                self.live.heartbeat_failed();
            }
            match answer {
                Ok(reply) if ticket.parks && reply.claimed.is_empty() && reply.draining == 0 && !ending => {
                    self.parked.push_back(ticket);
                }
                answer => {
                    let session = ticket.request.session;
                    if let Err(Ok(Reply { claimed, .. })) = ticket.reply.send(answer)
                        && !claimed.is_empty()
                    {
                        unwanted.push((session, claimed));
                    }
                }
            }
        }
        // The worker gave up waiting, or is gone: it never learns of these leases.
        for (session, claimed) in unwanted {
            let give_back = |job: crate::store::ClaimedJob| AttemptReport { attempt: job.attempt, end: AttemptEnd::GivenBack };
            let request = Request { reports: claimed.into_iter().map(give_back).collect(), ..Request::new(session) };
            if let Err(failure) = self.apply(&[request]).await {
                debug!(error = crate::chain(&failure), "leases that nobody waits for any more run out by themselves");
            }
        }
    }

    async fn apply(&self, requests: &[Request]) -> Result<Vec<Answer>, DispatchError> {
        let mut n_tries = 0;
        let applied = loop {
            let apply = self.store.apply(requests, self.clock.now_us(), self.lease_us);
            match tokio::time::timeout(APPLY_WITHIN, apply).await {
                Err(_) => {
                    error!(seconds = APPLY_WITHIN.as_secs(), "the database does not answer");
                    return Err(DispatchError::Hangs);
                }
                Ok(Ok(applied)) => break applied,
                // Whatever became of the first try, the second comes to the same: reports are fenced, and leases that nobody heard of run out.
                Ok(Err(failure)) if failure.is_passing() && n_tries < RETRIES => {
                    debug!(error = crate::chain(&failure), "a transaction is tried again");
                    n_tries += 1;
                }
                Ok(Err(failure)) => return Err(DispatchError::Database(Arc::new(failure))),
            }
        };
        let Applied { replies, ended, queued, changed } = applied;
        self.live.forget(&ended);
        if queued {
            self.live.jobs_queued();
        } else if changed {
            self.live.jobs_changed();
        }
        Ok(replies.into_iter().map(|reply| reply.map_err(|gone| DispatchError::Session(Arc::new(gone)))).collect())
    }
}
