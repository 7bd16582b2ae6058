//! Gathers what workers ask for into transactions, and keeps waiting claims.
//!
//! One task owns the writing. Requests that arrive while a transaction commits make up the next one, so under load many share a commit, and alone
//! each is carried out at once. A claim that finds nothing is parked, and tried again together with all others whenever jobs may have become
//! claimable, and twice a second.
//!
//! What is leased to a caller who has gone away in the meantime is given back, whether it left before the answer or with the answer on its way.

use std::collections::VecDeque;
use std::iter;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::clock::Clock;
use crate::live::Live;
use crate::store::{Applied, AttemptEnd, AttemptReport, ClaimedJob, DatabaseError, Reply, Request, SessionError, SessionId, Store};

#[cfg(test)]
mod tests;

/// Requests that are taken in for one transaction: many times what shares a commit under load, and a bound on how long one takes.
const BATCH_MOST: usize = 256;
/// Requests of one transaction where parked claims are tried again: each can be served in it.
const WOKEN_MOST: usize = 1_024;
/// Requests that wait to be carried out; beyond, callers wait before they are let in.
const QUEUE_MOST: usize = 4_096;
/// Claims that wait at once: twice as many as there can be sessions.
const PARKED_MOST: usize = 20_000;
/// Parked claims are tried this often without a reason that was told here: another coordinator may have queued jobs.
const LOOK: Duration = Duration::from_millis(500);
/// A transaction that takes longer waits for a database that stands still. Above the time that a busy file or lock is waited for.
const APPLY_WITHIN: Duration = Duration::from_secs(12);
/// How often a batch is tried again that lost against another transaction or its connection.
const RETRIES: u32 = 2;

/// What carries requests out, all or none of them.
pub(crate) trait Ledger: Send + Sync + 'static {
    /// See [`Store::apply`].
    fn apply(&self, requests: &[Request], now_us: i64, lease_us: i64) -> impl Future<Output = Result<Applied, DatabaseError>> + Send;
}

impl Ledger for Store {
    async fn apply(&self, requests: &[Request], now_us: i64, lease_us: i64) -> Result<Applied, DatabaseError> {
        Self::apply(self, requests, now_us, lease_us).await
    }
}

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
    /// More claims wait than there are workers.
    #[error("{PARKED_MOST} claims wait already")]
    Crowded,
}

impl DispatchError {
    /// Whether one request of a batch may be at fault, and the others may succeed without it: its statement fails, or it is what no longer fits
    /// on the disk. Everything else is about the database, and fails all alike.
    fn is_of_one_request(&self) -> bool {
        matches!(self, Self::Database(cause) if matches!(**cause, DatabaseError::Statement(_) | DatabaseError::Full(_)))
    }
}

type Answer = Result<Reply, DispatchError>;

#[derive(Debug)]
struct Ticket {
    request: Request,
    caller: Caller,
}

#[derive(Debug)]
struct Caller {
    /// Whether a claim that finds nothing waits.
    parks: bool,
    reply: oneshot::Sender<Answer>,
}

impl Ticket {
    /// A request whose answer is of no interest to anybody.
    fn unattended(request: Request) -> Self {
        Self { request, caller: Caller { parks: false, reply: oneshot::channel().0 } }
    }

    /// What is left to do of a request: nothing is leased to a caller who has gone. What it reported is true all the same.
    fn still_wanted(mut self) -> Option<Self> {
        if self.caller.reply.is_closed() {
            self.request.n_jobs = 0;
            if self.request.beats.is_none() && self.request.reports.is_empty() {
                return None;
            }
        }
        Some(self)
    }
}

/// Takes requests in.
#[derive(Debug, Clone)]
pub(crate) struct Dispatch {
    tickets: mpsc::Sender<Ticket>,
}

impl Dispatch {
    /// Carries a request out.
    pub(crate) async fn ask(&self, request: Request) -> Answer {
        self.hand_in(request, false).await?.answer().await
    }

    /// Carries a claim out as soon as there is something to claim; empty-handed after `wait`.
    pub(crate) async fn claim(&self, request: Request, wait: Duration) -> Answer {
        let mut waiting = self.hand_in(request, !wait.is_zero()).await?;
        if wait.is_zero() {
            return waiting.answer().await;
        }
        match tokio::time::timeout(wait, waiting.answer()).await {
            Ok(answered) => answered,
            Err(_) => Ok(Reply::default()),
        }
    }

    async fn hand_in(&self, request: Request, parks: bool) -> Result<Waiting, DispatchError> {
        let (reply, answer) = oneshot::channel();
        let session = request.session;
        let ticket = Ticket { request, caller: Caller { parks, reply } };
        self.tickets.send(ticket).await.map_err(|_| DispatchError::Ending)?;
        Ok(Waiting { answer, session, tickets: self.tickets.clone() })
    }
}

/// A caller that waits for its answer. Dropped before it took the answer, it gives back what the answer leases: the caller gave up or hung up, and
/// the worker never learns of these leases.
struct Waiting {
    answer: oneshot::Receiver<Answer>,
    session: SessionId,
    tickets: mpsc::Sender<Ticket>,
}

impl Waiting {
    async fn answer(&mut self) -> Answer {
        (&mut self.answer).await.unwrap_or(Err(DispatchError::Ending))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // From here on the answer does not arrive any more, and whoever sends it learns that.
        self.answer.close();
        if let Ok(Ok(reply)) = self.answer.try_recv()
            && let Some(request) = give_back(self.session, reply.claimed)
            && self.tickets.try_send(Ticket::unattended(request)).is_err()
        {
            debug!("leases that nobody waits for any more run out by themselves");
        }
    }
}

/// What gives leases back; nothing where there are none.
fn give_back(session: SessionId, claimed: Vec<ClaimedJob>) -> Option<Request> {
    let given_back = |job: ClaimedJob| AttemptReport { attempt: job.attempt, end: AttemptEnd::GivenBack };
    let reports: Vec<AttemptReport> = claimed.into_iter().map(given_back).collect();
    (!reports.is_empty()).then(|| Request { reports, ..Request::new(session) })
}

/// Starts the task; it ends with `end`, and stops parking claims with `shutdown`.
pub(crate) fn start<L: Ledger>(
    ledger: L,
    clock: Clock,
    live: Arc<Live>,
    lease: Duration,
    shutdown: CancellationToken,
    end: CancellationToken,
) -> (Dispatch, tokio::task::JoinHandle<()>) {
    let (tickets, receiver) = mpsc::channel(QUEUE_MOST);
    let worker = Worker { ledger, clock, live, lease_us: lease.as_micros() as i64, parked: VecDeque::new() };
    (Dispatch { tickets }, tokio::spawn(worker.run(receiver, shutdown, end)))
}

struct Worker<L> {
    ledger: L,
    clock: Clock,
    live: Arc<Live>,
    lease_us: i64,
    parked: VecDeque<Ticket>,
}

impl<L: Ledger> Worker<L> {
    async fn run(mut self, mut tickets: mpsc::Receiver<Ticket>, shutdown: CancellationToken, end: CancellationToken) {
        let mut queue = self.live.watch_queue();
        // Kept from one turn to the next: requests may come faster than this ticks.
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                _ = looks.tick(), if waiting => true,
                () = shutdown.cancelled(), if waiting => {
                    for ticket in self.parked.drain(..) {
                        let _ = ticket.caller.reply.send(Ok(Reply::default()));
                    }
                    false
                }
                () = end.cancelled() => break,
            };
            if wake {
                // Before anything is looked up: what is queued from here on wakes again.
                queue.mark_unchanged();
                // Who waited longest comes first.
                let mut woken: Vec<Ticket> = self.parked.drain(..).collect();
                woken.append(&mut batch);
                batch = woken;
            }
            let mut batch = batch.into_iter().filter_map(Ticket::still_wanted).peekable();
            while batch.peek().is_some() {
                let part = batch.by_ref().take(WOKEN_MOST).map(|ticket| (ticket.request, ticket.caller)).unzip();
                self.carry_out(part, shutdown.is_cancelled()).await;
            }
            if !waiting && !self.parked.is_empty() {
                looks.reset();
            }
        }
    }

    /// Carries requests out and answers them. A claim that found nothing is parked, unless there is no point in waiting.
    async fn carry_out(&mut self, (requests, callers): (Vec<Request>, Vec<Caller>), ending: bool) {
        let answers = self.answers(&requests).await;
        let mut unwanted = Vec::new();
        for ((request, caller), answer) in requests.into_iter().zip(callers).zip(answers) {
            if request.beats.is_some() && matches!(answer, Err(DispatchError::Database(_) | DispatchError::Hangs)) {
                self.live.heartbeat_failed();
            }
            match answer {
                Ok(reply) if caller.parks && reply.claimed.is_empty() && reply.draining == 0 && !ending => {
                    if self.parked.len() < PARKED_MOST {
                        self.parked.push_back(Ticket { request, caller });
                    } else {
                        let _ = caller.reply.send(Err(DispatchError::Crowded));
                    }
                }
                answer => {
                    if let Err(Ok(reply)) = caller.reply.send(answer) {
                        unwanted.extend(give_back(request.session, reply.claimed));
                    }
                }
            }
        }
        if !unwanted.is_empty()
            && let Err(failure) = self.apply(&unwanted).await
        {
            debug!(error = crate::chain(&failure), "leases that nobody waits for any more run out by themselves");
        }
    }

    /// Carries requests out in one transaction. Where one of them fails it for all, halves are tried, then their halves: whoever is not at fault is
    /// served, and whoever is hears of it.
    async fn answers(&self, requests: &[Request]) -> Vec<Answer> {
        let mut answers: Vec<Answer> = Vec::with_capacity(requests.len());
        // The last is the next, so that the answers come in order.
        let mut parts: Vec<Range<usize>> = iter::once(0..requests.len()).collect();
        while let Some(part) = parts.pop() {
            match self.apply(&requests[part.clone()]).await {
                Ok(carried_out) => answers.extend(carried_out),
                Err(failure) if failure.is_of_one_request() && part.len() > 1 => {
                    debug!(error = crate::chain(&failure), n_requests = part.len(), "a batch failed, its halves are tried");
                    let middle = part.start + part.len() / 2;
                    parts.extend([middle..part.end, part.start..middle]);
                }
                Err(failure) if failure.is_of_one_request() => answers.push(Err(failure)),
                // Nobody is at fault, and nobody is helped by trying again for each.
                Err(failure) => answers.resize(requests.len(), Err(failure)),
            }
            if answers.len() == requests.len() {
                break;
            }
        }
        answers
    }

    async fn apply(&self, requests: &[Request]) -> Result<Vec<Answer>, DispatchError> {
        let mut n_tries = 0;
        let applied = loop {
            let apply = self.ledger.apply(requests, self.clock.now_us(), self.lease_us);
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
        if requests.iter().any(|request| !request.reports.is_empty()) {
            self.live.results_changed();
        }
        if queued {
            self.live.jobs_queued();
        } else if changed {
            self.live.jobs_changed();
        }
        Ok(replies.into_iter().map(|reply| reply.map_err(|gone| DispatchError::Session(Arc::new(gone)))).collect())
    }
}
