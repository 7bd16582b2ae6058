//! What a slot runs next: claimed while it still runs something else, renewed from then on, handed over when the slot is free.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use offramp_proto::v1;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::sleep;

use crate::client::{CALL_WITHIN, Rpc};
use crate::lease::{Lease, Wish};
use crate::report::Report;
use crate::run::{Shared, WorkerError};

/// How long a claim waits at the coordinator for a job to turn up.
const CLAIM_WAIT: Duration = Duration::from_secs(20);

/// Pause after a claim that found nothing, so that a coordinator that does not wait is not flooded.
const CLAIM_PAUSE: Duration = Duration::from_millis(50);

/// Leases that a slot holds at most, unanswered reports included: one to run and one in reserve. A slot whose reports are not answered
/// claims nothing more, so work does not pile up where it cannot be delivered.
const MOST_HELD: usize = 2;

/// How soon a slot needs its next lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// It runs for a while yet: a lease in reserve would only be kept from other workers.
    NotYet,
    /// Its run will end soon.
    Soon,
    /// It is free.
    Now,
}

/// What a slot and its reserve tell each other.
#[derive(Debug)]
pub(super) struct Reserve {
    need: watch::Sender<Need>,
    /// There while nothing is in reserve and nothing has been asked for.
    wish: Mutex<Option<Wish>>,
}

/// Where the next lease is to come from.
enum Source {
    /// It is here: it came with the answer to a report.
    Granted(Lease),
    /// It has to be claimed, for this place.
    Claim(OwnedSemaphorePermit),
}

impl Reserve {
    /// Of a slot that needs nothing yet.
    pub(super) fn new() -> Self {
        Self { need: watch::Sender::new(Need::NotYet), wish: Mutex::default() }
    }

    /// Says how soon the slot needs its next lease.
    pub(super) fn needs(&self, need: Need) {
        self.need.send_replace(need);
    }

    /// The wish to send along with a report, where nobody sees to the next lease yet: one call then does for both.
    pub(super) fn take_wish(&self) -> Option<Wish> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn until(&self, least: Need) {
        self.need.subscribe().wait_for(|need| *need >= least).await.expect("the sender is borrowed");
    }

    /// Waits until a lease will be wanted soon and may be held.
    async fn place(&self, places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
        self.until(Need::Soon).await;
        Arc::clone(places).acquire_owned().await.expect("nobody closes the semaphore")
    }

    /// Waits until a lease has to be claimed, or a report has brought one.
    async fn source(&self, slot: u32, places: &Arc<Semaphore>, reports: &UnboundedSender<Report>) -> Source {
        let (wish, mut granted) = Wish::new(slot, reports.clone());
        *self.wish.lock().unwrap_or_else(PoisonError::into_inner) = Some(wish);
        let brought = tokio::select! {
            biased;
            brought = &mut granted => brought,
            place = self.place(places) => {
                if self.take_wish().is_some() {
                    return Source::Claim(place);
                }
                // On its way already; it comes with the place of what was reported.
                drop(place);
                granted.await
            }
        };
        match brought {
            Ok(lease) => Source::Granted(lease),
            Err(_nothing_came) => Source::Claim(self.place(places).await),
        }
    }
}

/// Keeps a slot in leases until nothing more is to be claimed: gets one when the slot will want it, and hands it over when the slot is free.
/// A reserve that is lost before then is replaced; one that the worker no longer wants is given back at once.
///
/// # Errors
/// When the coordinator refuses to lease, or cannot be reached for too long.
pub(super) async fn keep(
    shared: &Shared,
    slot: u32,
    reserve: &Reserve,
    handover: mpsc::Sender<Lease>,
    reports: UnboundedSender<Report>,
) -> Result<(), WorkerError> {
    let places = Arc::new(Semaphore::new(MOST_HELD));
    loop {
        let source = tokio::select! {
            biased;
            () = shared.finish.cancelled() => return Ok(()),
            source = reserve.source(slot, &places, &reports) => source,
        };
        let lease = match source {
            Source::Granted(lease) => lease,
            Source::Claim(place) => {
                let claim = claim(shared, slot, place, &reports);
                tokio::pin!(claim);
                tokio::select! {
                    biased;
                    () = shared.finish.cancelled() => {
                        // Nothing more comes, as the slot sees from this.
                        drop(handover);
                        return turn_away(shared, claim).await;
                    }
                    lease = &mut claim => match lease? {
                        Some(lease) => lease,
                        None => return Ok(()),
                    },
                }
            }
        };
        tokio::select! {
            biased;
            () = shared.finish.cancelled() => return Ok(()),
            () = lease.stop.cancelled() => {}
            () = reserve.until(Need::Now) => {
                // Before the slot has it, which may be in need again at once.
                reserve.needs(Need::NotYet);
                handover.send(lease).await.expect("a slot in need waits for the lease");
            }
        }
    }
}

/// Sees to a claim that is no longer wanted but may be granted yet. A lease that nobody knows of would be kept from other workers until it
/// runs out, so its answer is waited for, and what comes is given back. Not where the session ends next: that gives it back as well.
async fn turn_away(shared: &Shared, claim: impl Future<Output = Result<Option<Lease>, WorkerError>>) -> Result<(), WorkerError> {
    tokio::select! {
        biased;
        () = shared.stop.cancelled() => Ok(()),
        () = shared.over.cancelled() => Ok(()),
        lease = claim => lease.map(drop),
    }
}

/// Leases one job; `None` where nothing more is to be claimed.
async fn claim(
    shared: &Shared,
    slot: u32,
    place: OwnedSemaphorePermit,
    reports: &UnboundedSender<Report>,
) -> Result<Option<Lease>, WorkerError> {
    let request = |mut rpc: Rpc, session| async move {
        let sweep = shared.sweep.unwrap_or(0);
        rpc.claim(v1::ClaimRequest { session, max_jobs: 1, wait_ms: CLAIM_WAIT.as_millis() as u32, sweep }).await
    };
    let mut place = Some(place);
    let mut tries = shared.client.tries("Claim", CLAIM_WAIT + CALL_WITHIN);
    while !shared.finish.is_cancelled() {
        let response = shared.client.try_call(&mut tries, request).await.map_err(|error| shared.error(error))?;
        let Some(response) = response else { continue };
        let lease = response.leases.into_iter().next();
        if let Some(lease) = lease.and_then(|lease| Lease::take(shared, slot, lease, place.take(), reports.clone())) {
            return Ok(Some(lease));
        }
        sleep(CLAIM_PAUSE).await;
        tries = shared.client.tries("Claim", CLAIM_WAIT + CALL_WITHIN);
    }
    Ok(None)
}
