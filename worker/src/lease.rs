//! Leases: the right to work on a job, from its grant to its report.

use futures::channel::mpsc::UnboundedSender;
use offramp_proto::{convert, v1};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;

use crate::report::{Report, Verdict};
use crate::run::Shared;
use crate::trainer::Attempt;

/// A lease that was granted, renewed by every heartbeat until it is reported. It cannot be forgotten: one that is dropped is given back.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) attempt: Attempt,
    pub(crate) config_json: String,
    /// Cancelled when the lease is lost, or runs are to stop.
    pub(crate) stop: CancellationToken,
    /// Where it is reported, and its place among the leases that its slot may hold; absent once it has ended.
    open: Option<(UnboundedSender<Report>, Option<OwnedSemaphorePermit>)>,
}

impl Lease {
    /// Takes a lease over from the coordinator. `place` is absent where it comes on top of what the slot may hold: its report before this
    /// one was refused, and holds its place on.
    pub(crate) fn take(
        shared: &Shared,
        slot: u32,
        lease: v1::Lease,
        place: Option<OwnedSemaphorePermit>,
        reports: UnboundedSender<Report>,
    ) -> Option<Self> {
        let v1::Lease { job_key, attempt, config_json } = lease;
        match convert::attempt_id(Some(&v1::AttemptId { job_key, attempt })) {
            Ok((job, number)) => {
                let attempt = Attempt { job, number };
                let stop = shared.stop.child_token();
                shared.held.insert(&attempt, slot, stop.clone());
                Some(Self { attempt, config_json, stop, open: Some((reports, place)) })
            }
            Err(error) => {
                // It has no name to report it by, and runs out by itself.
                tracing::error!(%error, "a lease without a valid attempt is left alone");
                None
            }
        }
    }

    /// Ends the lease; its place is free for another once that is reported. `wish` goes with the report.
    pub(crate) fn end(mut self, verdict: Verdict, wish: Option<Wish>) {
        self.report(verdict, wish);
    }

    fn report(&mut self, verdict: Verdict, wish: Option<Wish>) {
        if let Some((reports, place)) = self.open.take() {
            // Fails only where the worker is past reporting anything.
            let _ = reports.unbounded_send(Report { attempt: self.attempt.clone(), verdict, place, wish });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.report(Verdict::GivenBack, None);
    }
}

/// A slot's wish for its next lease, which goes with the report of the one before.
#[derive(Debug)]
pub(crate) struct Wish {
    slot: u32,
    granted: oneshot::Sender<Lease>,
    reports: UnboundedSender<Report>,
}

impl Wish {
    /// A wish, and where to wait for what it brings: an error where that is nothing.
    pub(crate) fn new(slot: u32, reports: UnboundedSender<Report>) -> (Self, oneshot::Receiver<Lease>) {
        let (granted, waiting) = oneshot::channel();
        (Self { slot, granted, reports }, waiting)
    }

    /// Fulfils the wish. Where the slot has given it up in the meantime, the lease is given back.
    pub(crate) fn grant(self, shared: &Shared, lease: v1::Lease, place: Option<OwnedSemaphorePermit>) {
        if let Some(lease) = Lease::take(shared, self.slot, lease, place, self.reports) {
            // What nobody waits for comes back here and is dropped.
            drop(self.granted.send(lease));
        }
    }
}
