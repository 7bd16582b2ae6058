//! Tells the coordinator how attempts ended.

use futures::channel::mpsc::UnboundedReceiver;
use futures::{StreamExt, TryStreamExt};
use offramp_domain::outcome::{FailureKind, Outcome};
use offramp_proto::v1::{self, ReportAnswer};
use tokio::sync::OwnedSemaphorePermit;

use crate::client::{CALL_WITHIN, CallError, Rpc};
use crate::held::{Snapshot, attempt_id};
use crate::run::{Shared, WorkerError};
use crate::trainer::{Attempt, with_sources};

/// What is kept of a failure's message: enough for a panic with a trainer's last lines.
const MAX_MESSAGE_BYTES: usize = 8 * 1024;

/// How an attempt ended.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) attempt: Attempt,
    pub(crate) verdict: Verdict,
    /// Its place among the leases that may be held, free again when the report is dropped.
    pub(crate) place: OwnedSemaphorePermit,
}

/// See [`Report`].
#[derive(Debug)]
pub(crate) enum Verdict {
    /// With a result.
    Completed(Outcome),
    /// With a failure.
    Failed { kind: FailureKind, message: String },
    /// Given up without fault of the job.
    Released,
    /// The lease was lost while it ran: there is nothing to tell.
    Lost,
}

/// Delivers reports until no more can come. Each goes its own way: what the coordinator does not answer holds up nothing else.
///
/// # Errors
/// As [`deliver`].
pub(crate) async fn deliver_all(shared: &Shared, reports: UnboundedReceiver<Report>) -> Result<(), WorkerError> {
    reports.map(Ok).try_for_each_concurrent(None, |report| deliver(shared, report)).await
}

/// Delivers a report, for as long as it takes; the attempt is held, and its lease renewed, until then. Its learning curve goes first, so
/// that a result never stands beside a curve with holes.
///
/// # Errors
/// When the coordinator cannot be reached for too long. A refused report costs the attempt and not the worker.
async fn deliver(shared: &Shared, report: Report) -> Result<(), WorkerError> {
    let Report { attempt, verdict, place } = report;
    let delivered = match verdict {
        Verdict::Completed(outcome) => complete(shared, &attempt, outcome).await,
        Verdict::Failed { kind, message } => fail(shared, &attempt, kind, message).await,
        Verdict::Released => release(shared, &attempt).await,
        Verdict::Lost => {
            tracing::info!(job = %attempt.job, attempt = attempt.number, "the lease was lost, its work is discarded");
            shared.count(|summary| summary.n_stale += 1);
            Ok(())
        }
    };
    shared.held.remove(&attempt);
    drop(place);
    match delivered {
        Err(error @ CallError::Refused { .. }) => {
            tracing::error!(job = %attempt.job, attempt = attempt.number, error = with_sources(&error), "a report was refused");
            Ok(())
        }
        other => other.map_err(|error| shared.error(error)),
    }
}

/// Renews every lease and delivers progress; stops the runs whose lease is lost.
pub(crate) async fn heartbeat(shared: &Shared) -> Result<(), CallError> {
    let within = shared.client.session().await?.heartbeat_within;
    send_heartbeat(shared, within, || shared.held.snapshot()).await
}

async fn send_heartbeat(
    shared: &Shared,
    within: std::time::Duration,
    snapshot: impl Fn() -> Snapshot + Send + Sync,
) -> Result<(), CallError> {
    let mut sent = Snapshot::default();
    let beat = |mut rpc: Rpc, session| {
        // Taken anew for every try: an old one would renew what is no longer held.
        sent = snapshot();
        let request = v1::HeartbeatRequest { session, attempts: sent.entries() };
        async move { rpc.heartbeat(request).await }
    };
    match shared.client.call("Heartbeat", within, beat).await {
        Ok(response) => {
            shared.held.acknowledge(&sent);
            shared.held.mark_stale(&response.stale);
            Ok(())
        }
        // A curve is worth less than the leases: go on without these epochs.
        Err(error @ CallError::Refused { .. }) if sent.has_progress() => {
            tracing::error!(error = with_sources(&error), "progress was refused and is left out");
            shared.held.acknowledge(&sent);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

async fn flush(shared: &Shared, attempt: &Attempt) -> Result<(), CallError> {
    while shared.held.snapshot_of(attempt).has_progress() {
        send_heartbeat(shared, CALL_WITHIN, || shared.held.snapshot_of(attempt)).await?;
    }
    Ok(())
}

async fn complete(shared: &Shared, attempt: &Attempt, outcome: Outcome) -> Result<(), CallError> {
    flush(shared, attempt).await?;
    let outcome = v1::Outcome::from(outcome);
    let request = |mut rpc: Rpc, session| {
        let request = v1::CompleteRequest { session, attempt: Some(attempt_id(attempt)), outcome: Some(outcome.clone()) };
        async move { rpc.complete(request).await }
    };
    match shared.client.call("Complete", CALL_WITHIN, request).await {
        Ok(response) => answered(shared, attempt, response.answer(), "completed", |summary| summary.n_completed += 1),
        Err(CallError::Refused { status, .. }) => {
            let message = format!("the coordinator refused the result: {}", status.message());
            return fail(shared, attempt, FailureKind::Failed, message).await;
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

async fn fail(shared: &Shared, attempt: &Attempt, kind: FailureKind, mut message: String) -> Result<(), CallError> {
    flush(shared, attempt).await?;
    message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
    tracing::warn!(job = %attempt.job, attempt = attempt.number, ?kind, reason = message, "attempt failed");
    let request = |mut rpc: Rpc, session| {
        let kind = v1::FailureKind::from(kind).into();
        let request = v1::FailRequest { session, attempt: Some(attempt_id(attempt)), kind, message: message.clone() };
        async move { rpc.fail(request).await }
    };
    let response = shared.client.call("Fail", CALL_WITHIN, request).await?;
    answered(shared, attempt, response.answer(), "failure reported", |summary| summary.n_failed += 1);
    Ok(())
}

async fn release(shared: &Shared, attempt: &Attempt) -> Result<(), CallError> {
    let request = |mut rpc: Rpc, session| {
        let request = v1::ReleaseRequest { session, attempts: vec![attempt_id(attempt)] };
        async move { rpc.release(request).await }
    };
    shared.client.call("Release", CALL_WITHIN, request).await?;
    tracing::info!(job = %attempt.job, attempt = attempt.number, "lease given back");
    shared.count(|summary| summary.n_released += 1);
    Ok(())
}

fn answered(shared: &Shared, attempt: &Attempt, answer: ReportAnswer, what: &str, count: impl FnOnce(&mut crate::run::Summary)) {
    if answer == ReportAnswer::Accepted {
        tracing::info!(job = %attempt.job, attempt = attempt.number, "{what}");
        shared.count(count);
    } else {
        tracing::info!(job = %attempt.job, attempt = attempt.number, "the lease was lost before the report, which changed nothing");
        shared.count(|summary| summary.n_stale += 1);
    }
}
