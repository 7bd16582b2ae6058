//! Workers: sessions, leases, reports.

use std::ops::RangeInclusive;
use std::time::Duration;

use offramp_domain::outcome::{Outcome, Progress};
use offramp_domain::placement::{Capabilities, Datasets, DeviceKind};
use offramp_proto::convert::{self, DecodeError};
use offramp_proto::v1;
use offramp_proto::v1::worker_service_server::WorkerService;
use tonic::{Request, Response, Status};
use tracing::{debug, info, warn};

use super::Context;
use super::fields::{at_most, in_range, name, quoted};
use super::status::{self, malformed};
use crate::store::{self, Answer, AttemptEnd, AttemptRef, AttemptReport, Beat, ClaimedJob, NewSession, SessionId};

/// Longest wait that a claim may ask for.
pub(crate) const CLAIM_WAIT_MOST_MS: u32 = 60_000;
const CLAIM_JOBS_MOST: u32 = 64;
/// Attempts in one message: far more than a worker holds.
const ATTEMPTS_MOST: usize = 1_024;
/// Reports in one message: a worker has 128 slots at most, and rarely more than a few end at once.
const REPORTS_MOST: usize = 64;
/// Datasets and labels of one worker.
const DATASETS_MOST: usize = 1_000;
const LABELS_MOST: usize = 64;
/// Operating points in one result: a setting for every sample of the largest calibration split that anyone uses, and a bound on how long one
/// result holds the database.
const POINTS_MOST: usize = 10_000;
/// Exits of one network, here only to bound a message: real ones have tens.
const EXITS_MOST: usize = 1_024;
/// Epochs of one attempt that are stored: a message cannot make the database grow without end.
const EPOCHS_MOST: u32 = 1_000_000;
/// Jobs that one worker works on at once.
const SLOTS: RangeInclusive<u32> = 1..=1_024;
/// Failure messages are taken as far as they are stored.
const MESSAGE_MAX_CHARS: usize = 8_000;

/// Answers for [`WorkerService`].
pub(crate) struct Workers(pub(crate) Context);

#[tonic::async_trait]
impl WorkerService for Workers {
    async fn open_session(&self, request: Request<v1::OpenSessionRequest>) -> Result<Response<v1::OpenSessionResponse>, Status> {
        let session = new_session(request.into_inner()).map_err(|error| malformed(&error))?;
        let opened = self.0.store.open_session(&session, self.0.clock.now_us()).await?;
        status::database_works();
        let NewSession { worker, version, trainer, .. } = session;
        if opened.n_namesakes > 0 {
            warn!(session = %opened.id, worker, "another worker of this name was heard of a moment ago; each has a session of its own");
        }
        info!(session = %opened.id, worker, version, trainer, "worker joined");
        Ok(Response::new(v1::OpenSessionResponse {
            session: opened.id.to_string(),
            lease_ms: self.0.lease.as_millis() as u32,
            heartbeat_ms: self.0.heartbeat.as_millis() as u32,
            coordinator_version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
    }

    async fn claim(&self, request: Request<v1::ClaimRequest>) -> Result<Response<v1::ClaimResponse>, Status> {
        let request = request.into_inner();
        in_range("max_jobs", request.max_jobs, 1..=CLAIM_JOBS_MOST, "1 to 64")
            .and_then(|()| in_range("wait_ms", request.wait_ms, 0..=CLAIM_WAIT_MOST_MS, "0 to 60000"))
            .map_err(|error| malformed(&error))?;
        let wait = Duration::from_millis(request.wait_ms.into());
        let wanted = store::Request {
            n_jobs: request.max_jobs as usize,
            sweep: sweep("sweep", request.sweep)?,
            ..store::Request::new(session_id(&request.session)?)
        };
        let reply = self.0.dispatch.claim(wanted, wait).await?;
        Ok(Response::new(v1::ClaimResponse { leases: reply.claimed.into_iter().map(lease).collect() }))
    }

    async fn heartbeat(&self, request: Request<v1::HeartbeatRequest>) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let request = request.into_inner();
        let session = session_id(&request.session)?;
        at_most("attempts", request.attempts.len(), ATTEMPTS_MOST, "at most 1024 values").map_err(|error| malformed(&error))?;
        let slots: Vec<u32> = request.attempts.iter().map(|attempt| attempt.slot).collect();
        let beats: Vec<Beat> = request.attempts.into_iter().map(beat).collect::<Result<_, _>>().map_err(|error| malformed(&error))?;
        let reply = self.0.dispatch.ask(store::Request { beats: Some(beats.clone()), ..store::Request::new(session) }).await?;
        status::database_works();
        let now_us = self.0.clock.now_us();
        for (beat, slot) in beats.into_iter().zip(slots).filter(|(beat, _)| !reply.stale.contains(&beat.attempt)) {
            self.0.live.record(&beat.attempt, slot, beat.progress.map(Into::into), now_us);
        }
        Ok(Response::new(v1::HeartbeatResponse {
            stale: reply.stale.iter().map(attempt_id).collect(),
            cancelled: reply.cancelled.iter().map(attempt_id).collect(),
            drain: reply.draining > 0,
            give_back: reply.draining > 1,
        }))
    }

    async fn report(&self, request: Request<v1::ReportRequest>) -> Result<Response<v1::ReportResponse>, Status> {
        let request = request.into_inner();
        let session = session_id(&request.session)?;
        if request.reports.is_empty() {
            return Err(malformed(&DecodeError::Missing("reports")));
        }
        at_most("reports", request.reports.len(), REPORTS_MOST, "1 to 64 values")
            .and_then(|()| in_range("claim_jobs", request.claim_jobs, 0..=CLAIM_JOBS_MOST, "0 to 64"))
            .map_err(|error| malformed(&error))?;
        let reports = request.reports.into_iter().map(report).collect::<Result<Vec<_>, _>>().map_err(|error| malformed(&error))?;
        let asked = store::Request {
            reports,
            n_jobs: request.claim_jobs as usize,
            sweep: sweep("claim_sweep", request.claim_sweep)?,
            ..store::Request::new(session)
        };
        let told: Vec<AttemptRef> = asked.reports.iter().map(|report| report.attempt.clone()).collect();
        let reply = self.0.dispatch.ask(asked).await?;
        for (attempt, answer) in told.iter().zip(&reply.answers) {
            debug!(job = %attempt.key, attempt = attempt.attempt, ?answer, "attempt reported");
        }
        Ok(Response::new(v1::ReportResponse {
            results: reply.answers.into_iter().map(answer).collect(),
            leases: reply.claimed.into_iter().map(lease).collect(),
        }))
    }

    async fn close_session(&self, request: Request<v1::CloseSessionRequest>) -> Result<Response<v1::CloseSessionResponse>, Status> {
        let session = session_id(&request.into_inner().session)?;
        let released = self.0.store.close_session(session, self.0.clock.now_us()).await?;
        info!(%session, n_released = released.len(), "worker left");
        self.0.live.forget(&released);
        self.0.live.jobs_queued();
        Ok(Response::new(v1::CloseSessionResponse {}))
    }
}

fn session_id(text: &str) -> Result<SessionId, Status> {
    let malformed = || DecodeError::Range { field: "session", value: quoted(text), expected: "what OpenSession answered" };
    SessionId::parse(text).ok_or_else(|| self::malformed(&malformed()))
}

/// The sweep that a claim is restricted to.
fn sweep(field: &'static str, id: i64) -> Result<Option<i64>, Status> {
    match id {
        0 => Ok(None),
        1.. => Ok(Some(id)),
        _ => Err(malformed(&DecodeError::Range { field, value: id.to_string(), expected: "the id of a sweep, or 0" })),
    }
}

fn new_session(request: v1::OpenSessionRequest) -> Result<NewSession, DecodeError> {
    let v1::OpenSessionRequest { worker, version, n_slots, trainer, embedded, capabilities } = request;
    for (field, text) in [("worker", &worker), ("version", &version), ("trainer", &trainer)] {
        name(field, text)?;
    }
    in_range("n_slots", n_slots, SLOTS, "1 to 1024")?;
    let capabilities = self::capabilities(capabilities)?;
    Ok(NewSession { worker, version, trainer, n_slots, embedded, capabilities })
}

/// What a worker offers. Of one that doesn't say, nothing is known, and whether it has a job's data shows when it looks for it.
fn capabilities(message: Option<v1::Capabilities>) -> Result<Capabilities, DecodeError> {
    let Some(v1::Capabilities { device, memory_mib, datasets, any_dataset, labels }) = message else {
        return Ok(Capabilities { device: None, memory_mib: None, datasets: Datasets::Any, labels: Vec::new() });
    };
    let device = match device.as_str() {
        "" => None,
        name => Some(DeviceKind::parse(name).ok_or_else(|| DecodeError::Range {
            field: "capabilities.device",
            value: quoted(name),
            expected: "`cpu`, `cuda` or `vulkan`",
        })?),
    };
    if i64::try_from(memory_mib).is_err() {
        let value = memory_mib.to_string();
        return Err(DecodeError::Range { field: "capabilities.memory_mib", value, expected: "MiB that a machine can have" });
    }
    let lists = [
        ("capabilities.datasets", &datasets, DATASETS_MOST, "at most 1000 values"),
        ("capabilities.labels", &labels, LABELS_MOST, "at most 64 values"),
    ];
    for (field, names, most, expected) in lists {
        at_most(field, names.len(), most, expected)?;
        names.iter().try_for_each(|text| name(field, text))?;
    }
    Ok(Capabilities {
        device,
        memory_mib: (memory_mib > 0).then_some(memory_mib),
        datasets: if any_dataset { Datasets::Any } else { Datasets::Named(datasets) },
        labels,
    })
}

fn report(message: v1::AttemptReport) -> Result<AttemptReport, DecodeError> {
    let attempt = attempt_ref(message.attempt.as_ref())?;
    let end = match message.end.ok_or(DecodeError::Missing("reports.end"))? {
        v1::attempt_report::End::Outcome(message) => AttemptEnd::Completed(Box::new(outcome(message)?)),
        v1::attempt_report::End::Failure(failure) => {
            AttemptEnd::Failed { kind: convert::failure_kind(failure.kind)?, message: storable(&failure.message) }
        }
        v1::attempt_report::End::GivenBack(v1::GivenBack {}) => AttemptEnd::GivenBack,
    };
    Ok(AttemptReport { attempt, end })
}

/// A trainer's last words as they are stored: as many as anyone reads, and without NUL, which not every database takes.
fn storable(message: &str) -> String {
    message.chars().take(MESSAGE_MAX_CHARS).map(|c| if c == '\0' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn outcome(message: v1::Outcome) -> Result<Outcome, DecodeError> {
    at_most("outcome.exits", message.exits.len(), EXITS_MOST, "at most 1024 values")?;
    at_most("outcome.operating_points", message.operating_points.len(), POINTS_MOST, "at most 10000 values")?;
    name("outcome.trainer", &message.trainer)?;
    message.try_into()
}

fn beat(message: v1::AttemptProgress) -> Result<Beat, DecodeError> {
    // Progress is there to be shown: where it makes no sense, the lease is kept all the same.
    let progress = message.progress.and_then(|progress| Progress::try_from(progress).ok()).filter(makes_sense);
    Ok(Beat { attempt: attempt_ref(message.attempt.as_ref())?, progress })
}

fn makes_sense(progress: &Progress) -> bool {
    progress.epoch <= progress.n_epochs.min(EPOCHS_MOST) && progress.exit_accuracy.len() <= EXITS_MOST
}

fn attempt_ref(id: Option<&v1::AttemptId>) -> Result<AttemptRef, DecodeError> {
    convert::attempt_id(id).map(|(key, attempt)| AttemptRef { key, attempt })
}

fn attempt_id(attempt: &AttemptRef) -> v1::AttemptId {
    v1::AttemptId { job_key: attempt.key.as_str().to_owned(), attempt: attempt.attempt }
}

fn lease(job: ClaimedJob) -> v1::Lease {
    v1::Lease { job_key: job.attempt.key.as_str().to_owned(), attempt: job.attempt.attempt, config_json: job.config_json }
}

fn answer(answer: Answer) -> v1::ReportResult {
    let (answer, reason) = match answer {
        Answer::Accepted => (v1::ReportAnswer::Accepted, String::new()),
        Answer::Stale => (v1::ReportAnswer::Stale, String::new()),
        Answer::Cancelled => (v1::ReportAnswer::Cancelled, String::new()),
        Answer::Refused(refusal) => (v1::ReportAnswer::Refused, refusal.to_string()),
    };
    v1::ReportResult { answer: answer.into(), reason }
}
