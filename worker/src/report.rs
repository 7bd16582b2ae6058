//! Tells the coordinator how attempts ended.

use std::time::Duration;

use futures::channel::mpsc::UnboundedReceiver;
use futures::{StreamExt, TryStreamExt};
use offramp_domain::outcome::{FailureKind, Outcome};
use offramp_proto::v1::attempt_report::End;
use offramp_proto::v1::{self, ReportAnswer};
use tokio::sync::OwnedSemaphorePermit;

use crate::client::{CALL_WITHIN, CallError, Rpc};
use crate::held::{Lost, Snapshot, attempt_id};
use crate::lease::Wish;
use crate::run::{Shared, WorkerError};
use crate::trainer::{Attempt, with_sources};

/// What is kept of a failure's message: enough for a panic with a trainer's last lines.
const MAX_MESSAGE_BYTES: usize = 8 * 1024;

/// Reports of one call, as many as the protocol allows.
const MOST_REPORTS: usize = 64;

/// Calls under way at one time. Along with a claim of every slot they stay below what a coordinator allows one connection, so that
/// heartbeats never wait for any of them.
const MOST_CALLS: usize = 64;

/// How an attempt ended.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) attempt: Attempt,
    pub(crate) verdict: Verdict,
    /// Its place among the leases that may be held, free again when the report is dropped.
    pub(crate) place: Option<OwnedSemaphorePermit>,
    /// What its slot would like in the same call.
    pub(crate) wish: Option<Wish>,
}

/// See [`Report`].
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    /// With a result.
    Completed(Outcome),
    /// With a failure.
    Failed { kind: FailureKind, message: String },
    /// Given up without fault of the job.
    GivenBack,
    /// The lease was lost while it ran: there is nothing to tell.
    Lost(Lost),
}

/// Delivers reports until no more can come. What is due at the same time shares a call; nothing waits for anything else to be due, and a
/// call that is not answered holds up none of the others.
///
/// # Errors
/// When the coordinator cannot be reached for too long. A refused report costs the attempt and not the worker.
pub(crate) async fn deliver_all(shared: &Shared, reports: UnboundedReceiver<Report>) -> Result<(), WorkerError> {
    reports.ready_chunks(MOST_REPORTS).map(Ok).try_for_each_concurrent(MOST_CALLS, |batch| deliver(shared, batch)).await
}

/// Delivers reports, for as long as it takes; the attempts are held, and their leases renewed, until then.
async fn deliver(shared: &Shared, batch: Vec<Report>) -> Result<(), WorkerError> {
    let mut due = vec![batch];
    while let Some(batch) = due.pop() {
        let batch: Vec<Report> = batch.into_iter().filter_map(|report| still_due(shared, report)).collect();
        if !batch.is_empty() {
            due.extend(send(shared, batch).await.map_err(|error| shared.error(error))?);
        }
    }
    Ok(())
}

/// The report, where there is something to tell.
fn still_due(shared: &Shared, report: Report) -> Option<Report> {
    let lost = match report.verdict {
        Verdict::Lost(how) => Some(how),
        Verdict::GivenBack => shared.held.lost(&report.attempt),
        Verdict::Completed(_) | Verdict::Failed { .. } => None,
    };
    let Some(how) = lost else { return Some(report) };
    match how {
        Lost::Stale => note_stale(shared, &report.attempt, "the lease was lost, its work is discarded"),
        Lost::Cancelled => note_cancelled(shared, &report.attempt, "the job was cancelled, its work is discarded"),
    }
    shared.held.remove(&report.attempt);
    None
}

/// Sends reports in one call; gives back what to send next on account of the answer. Learning curves go first, so that a result never stands
/// beside a curve with holes.
async fn send(shared: &Shared, mut batch: Vec<Report>) -> Result<Vec<Vec<Report>>, CallError> {
    flush(shared, &batch).await?;
    let reports: Vec<v1::AttemptReport> = batch.iter().map(message).collect();
    let mut wishes: Vec<Option<Wish>> = batch.iter_mut().map(|report| report.wish.take()).collect();
    let mut n_tries = 0;
    let request = |mut rpc: Rpc, session| {
        n_tries += 1;
        if n_tries > 1 {
            // The slots have waited for one answer and see to themselves now. And what a lost answer granted has to run out: once is enough.
            wishes.fill_with(|| None);
        }
        let claim_jobs = wishes.iter().flatten().count() as u32;
        let claim_sweep = shared.sweep.unwrap_or(0);
        let request = v1::ReportRequest { session, reports: reports.clone(), claim_jobs, claim_sweep };
        async move { rpc.report(request).await }
    };
    match shared.client.call("Report", CALL_WITHIN, request).await {
        Ok(response) => Ok(answered(shared, batch, wishes, response)),
        // One of them may be to blame, and is found by itself.
        Err(CallError::Refused { .. }) if batch.len() > 1 => Ok(batch.into_iter().map(|report| vec![report]).collect()),
        Err(CallError::Refused { status, .. }) => {
            Ok(batch.into_iter().filter_map(|report| refused(shared, report, status.message())).map(|report| vec![report]).collect())
        }
        Err(error) => Err(error),
    }
}

fn message(report: &Report) -> v1::AttemptReport {
    let end = match report.verdict.clone() {
        Verdict::Completed(outcome) => End::Outcome(outcome.into()),
        Verdict::Failed { kind, mut message } => {
            message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
            End::Failure(v1::Failure { kind: v1::FailureKind::from(kind).into(), message })
        }
        // What was lost is not reported, see `still_due`; should it be, it would be stale.
        Verdict::GivenBack | Verdict::Lost(_) => End::GivenBack(v1::GivenBack {}),
    };
    v1::AttemptReport { attempt: Some(attempt_id(&report.attempt)), end: Some(end) }
}

/// Settles each report by its own result, and fulfils the wishes that came with them.
fn answered(shared: &Shared, batch: Vec<Report>, wishes: Vec<Option<Wish>>, response: v1::ReportResponse) -> Vec<Vec<Report>> {
    let mut again = Vec::new();
    let mut results = response.results.into_iter();
    let mut leases = response.leases.into_iter();
    for (mut report, wish) in batch.into_iter().zip(wishes) {
        let result = results.next().unwrap_or_default();
        let mut place = None;
        if result.answer() == ReportAnswer::Refused {
            again.extend(refused(shared, report, &result.reason));
        } else {
            settled(shared, &report, result.answer());
            place = report.place.take();
        }
        if let Some((wish, lease)) = wish.and_then(|wish| Some((wish, leases.next()?))) {
            wish.grant(shared, lease, place);
        }
    }
    let n_unwanted = leases.count();
    if n_unwanted > 0 {
        tracing::error!(n_unwanted, "leases that nobody asked for are left alone, and run out");
    }
    if again.is_empty() { Vec::new() } else { vec![again] }
}

fn settled(shared: &Shared, Report { attempt, verdict, .. }: &Report, answer: ReportAnswer) {
    match (answer, verdict) {
        (ReportAnswer::Accepted, Verdict::Completed(_)) => {
            tracing::info!(job = %attempt.job, attempt = attempt.number, "completed");
            shared.count(|summary| summary.n_completed += 1);
        }
        (ReportAnswer::Accepted, Verdict::Failed { .. }) => {
            tracing::info!(job = %attempt.job, attempt = attempt.number, "failure reported");
            shared.count(|summary| summary.n_failed += 1);
        }
        (ReportAnswer::Accepted, Verdict::GivenBack | Verdict::Lost(_)) => {
            tracing::info!(job = %attempt.job, attempt = attempt.number, "lease given back");
            shared.count(|summary| summary.n_released += 1);
        }
        (ReportAnswer::Cancelled, _) => note_cancelled(shared, attempt, "the job was cancelled before the report, which changed nothing"),
        // A missing answer is none that could be relied on.
        (ReportAnswer::Stale | ReportAnswer::Refused | ReportAnswer::Unspecified, _) => {
            note_stale(shared, attempt, "the lease was lost before the report, which changed nothing");
        }
    }
    shared.held.remove(attempt);
}

/// What to report in the place of something that the coordinator does not take: the lease goes on until then.
fn refused(shared: &Shared, report: Report, reason: &str) -> Option<Report> {
    let Report { attempt, verdict, place, .. } = report;
    if let Verdict::Completed(_) = verdict {
        let message = format!("the coordinator refused the result: {reason}");
        tracing::error!(job = %attempt.job, attempt = attempt.number, reason, "a result was refused, its attempt fails");
        return Some(Report { attempt, verdict: Verdict::Failed { kind: FailureKind::Failed, message }, place, wish: None });
    }
    tracing::error!(job = %attempt.job, attempt = attempt.number, reason, "a report was refused, its lease runs out");
    shared.held.remove(&attempt);
    None
}

fn note_stale(shared: &Shared, attempt: &Attempt, what: &str) {
    tracing::info!(job = %attempt.job, attempt = attempt.number, "{what}");
    shared.count(|summary| summary.n_stale += 1);
}

fn note_cancelled(shared: &Shared, attempt: &Attempt, what: &str) {
    tracing::info!(job = %attempt.job, attempt = attempt.number, "{what}");
    shared.count(|summary| summary.n_cancelled += 1);
}

/// Renews every lease and delivers progress; stops the runs whose lease is lost, and notes where the worker is to drain.
pub(crate) async fn heartbeat(shared: &Shared) -> Result<(), CallError> {
    let within = shared.client.session().await?.heartbeat_within;
    send_heartbeat(shared, within, || shared.held.snapshot()).await
}

async fn send_heartbeat(shared: &Shared, within: Duration, snapshot: impl Fn() -> Snapshot + Send + Sync) -> Result<(), CallError> {
    let mut sent = Snapshot::default();
    let beat = |mut rpc: Rpc, session| {
        // Taken anew for every try: an old one would renew what is no longer held.
        sent = snapshot();
        let request = v1::HeartbeatRequest { session, attempts: sent.entries() };
        async move { rpc.heartbeat(request).await }
    };
    match shared.client.call("Heartbeat", within, beat).await {
        Ok(v1::HeartbeatResponse { stale, cancelled, drain, give_back }) => {
            shared.held.acknowledge(&sent);
            shared.held.mark_lost(&stale, &cancelled);
            if drain || give_back {
                shared.drain_for_coordinator(give_back);
            }
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

/// Delivers what is known of the attempts' learning curves, where something came of them.
async fn flush(shared: &Shared, batch: &[Report]) -> Result<(), CallError> {
    let with_curve = batch.iter().filter(|report| matches!(report.verdict, Verdict::Completed(_) | Verdict::Failed { .. }));
    let attempts: Vec<Attempt> = with_curve.map(|report| report.attempt.clone()).collect();
    while shared.held.news_of(&attempts).has_progress() {
        send_heartbeat(shared, CALL_WITHIN, || shared.held.news_of(&attempts)).await?;
    }
    Ok(())
}
