//! What a slot runs next: claimed while it still runs something else, renewed from then on, handed over when the slot is free.

use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use offramp_proto::{convert, v1};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::client::{CALL_WITHIN, Rpc};
use crate::report::{Report, Verdict};
use crate::run::{Shared, WorkerError};
use crate::trainer::Attempt;

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

/// A lease that was granted, renewed by every heartbeat until it is reported.
#[derive(Debug)]
#[must_use]
pub(super) struct Lease {
    pub(super) attempt: Attempt,
    pub(super) config_json: String,
    /// Cancelled when the lease is lost, or the worker drains.
    pub(super) stop: CancellationToken,
    place: OwnedSemaphorePermit,
}

impl Lease {
    /// Ends the lease in a report; its place is free for another once that is delivered.
    pub(super) fn end(self, verdict: Verdict) -> Report {
        Report { attempt: self.attempt, verdict, place: self.place }
    }

    /// Ends the lease without a result of its own doing: it was lost, or has to be given back.
    pub(super) fn give_up(self, shared: &Shared) -> Report {
        let verdict = if shared.held.is_stale(&self.attempt) { Verdict::Lost } else { Verdict::Released };
        self.end(verdict)
    }
}

/// Keeps a slot in leases until the worker drains: claims one when `need` says that the slot will want it, and hands it over when `need`
/// says that the slot is free. A reserve that is lost before then is replaced; one that the worker no longer wants is given back at once.
///
/// # Errors
/// When the coordinator refuses to lease, or cannot be reached for too long.
pub(super) async fn keep(
    shared: &Shared,
    slot: u32,
    need: &watch::Sender<Need>,
    handover: mpsc::Sender<Lease>,
    reports: UnboundedSender<Report>,
) -> Result<(), WorkerError> {
    let places = Arc::new(Semaphore::new(MOST_HELD));
    loop {
        let claimed = async {
            until(need, Need::Soon).await;
            let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes the semaphore");
            claim(shared, slot, place).await
        };
        // A lease that is granted while the worker turns away from the claim is given back with the session.
        let lease = tokio::select! {
            biased;
            () = shared.drain.cancelled() => return Ok(()),
            lease = claimed => lease?,
        };
        tokio::select! {
            biased;
            () = lease.stop.cancelled() => {
                reports.unbounded_send(lease.give_up(shared)).expect("reports are taken while leases are kept");
            }
            () = until(need, Need::Now) => {
                // Before the slot has it, which may be in need again at once.
                need.send_replace(Need::NotYet);
                handover.send(lease).await.expect("a slot in need waits for the lease");
            }
        }
    }
}

async fn until(need: &watch::Sender<Need>, least: Need) {
    need.subscribe().wait_for(|need| *need >= least).await.expect("the sender is borrowed");
}

/// Leases one job.
async fn claim(shared: &Shared, slot: u32, place: OwnedSemaphorePermit) -> Result<Lease, WorkerError> {
    loop {
        let request = |mut rpc: Rpc, session| async move {
            let sweep = shared.sweep.unwrap_or(0);
            rpc.claim(v1::ClaimRequest { session, max_jobs: 1, wait_ms: CLAIM_WAIT.as_millis() as u32, sweep }).await
        };
        let response = shared.client.call("Claim", CLAIM_WAIT + CALL_WITHIN, request).await.map_err(|error| shared.error(error))?;
        if let Some(v1::Lease { job_key, attempt, config_json }) = response.leases.into_iter().next() {
            match convert::attempt_id(Some(&v1::AttemptId { job_key, attempt })) {
                Ok((job, number)) => {
                    let attempt = Attempt { job, number };
                    let stop = shared.drain.child_token();
                    shared.held.insert(&attempt, slot, stop.clone());
                    return Ok(Lease { attempt, config_json, stop, place });
                }
                // It has no name to report it by, and runs out by itself.
                Err(error) => tracing::error!(%error, "a lease without a valid attempt is left alone"),
            }
        }
        sleep(CLAIM_PAUSE).await;
    }
}
