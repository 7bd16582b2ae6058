//! Workers: sessions, leases, reports.

use std::time::Duration;

use offramp_domain::outcome::{Outcome, Progress};
use offramp_proto::convert::{self, DecodeError};
use offramp_proto::v1;
use offramp_proto::v1::worker_service_server::WorkerService;
use tonic::{Request, Response, Status};
use tracing::info;

use super::Context;
use super::status::{self, malformed};
use crate::store::{AttemptRef, Beat, ClaimedJob, NewSession, Report, SessionError, SessionId};

/// A waiting claim looks for itself this often: a back-off that ends is announced by nobody.
const CLAIM_LOOK: Duration = Duration::from_millis(500);
const CLAIM_WAIT_MOST_MS: u32 = 60_000;
const CLAIM_JOBS_MOST: u32 = 64;
/// Attempts in one message: far more than a worker holds.
const ATTEMPTS_MOST: usize = 1_024;
/// Operating points in one result: a setting for every sample of the largest calibration split that anyone uses, and a bound on how long one
/// result holds the database.
const POINTS_MOST: usize = 10_000;
const NAME_MAX_CHARS: usize = 200;

/// Answers for [`WorkerService`].
pub(crate) struct Workers(pub(crate) Context);

#[tonic::async_trait]
impl WorkerService for Workers {
    async fn open_session(&self, request: Request<v1::OpenSessionRequest>) -> Result<Response<v1::OpenSessionResponse>, Status> {
        let session = new_session(request.into_inner()).map_err(|error| malformed(&error))?;
        let id = self.0.store.open_session(&session, self.0.clock.now_us()).await?;
        info!(session = %id, worker = session.worker, version = session.version, trainer = session.trainer, "worker joined");
        Ok(Response::new(v1::OpenSessionResponse {
            session: id.to_string(),
            lease_ms: self.0.lease.as_millis() as u32,
            heartbeat_ms: self.0.heartbeat.as_millis() as u32,
            coordinator_version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
    }

    async fn claim(&self, request: Request<v1::ClaimRequest>) -> Result<Response<v1::ClaimResponse>, Status> {
        let request = request.into_inner();
        let session = session_id(&request.session)?;
        in_range("max_jobs", request.max_jobs, 1..=CLAIM_JOBS_MOST, "1 to 64")?;
        in_range("wait_ms", request.wait_ms, 0..=CLAIM_WAIT_MOST_MS, "0 to 60000")?;
        let wait = Duration::from_millis(request.wait_ms.into());
        let claimed = self.await_jobs(session, request.max_jobs, sweep(request.sweep)?, wait).await?;
        if !claimed.is_empty() {
            self.0.live.jobs_changed();
        }
        Ok(Response::new(v1::ClaimResponse { leases: claimed.into_iter().map(lease).collect() }))
    }

    async fn heartbeat(&self, request: Request<v1::HeartbeatRequest>) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let request = request.into_inner();
        let session = session_id(&request.session)?;
        at_most_attempts(request.attempts.len())?;
        let slots: Vec<u32> = request.attempts.iter().map(|attempt| attempt.slot).collect();
        let beats: Vec<Beat> = request.attempts.into_iter().map(beat).collect::<Result<_, _>>().map_err(|error| malformed(&error))?;
        let stale = self.0.store.heartbeat(session, &beats, self.0.clock.now_us(), self.lease_us()).await.inspect_err(|error| {
            if matches!(error, SessionError::Database(_)) {
                self.0.live.heartbeat_failed();
            }
        })?;
        status::database_works();
        for (beat, slot) in beats.into_iter().zip(slots).filter(|(beat, _)| !stale.contains(&beat.attempt)) {
            self.0.live.record(&beat.attempt, slot, beat.progress.map(Into::into));
        }
        Ok(Response::new(v1::HeartbeatResponse { stale: stale.iter().map(attempt_id).collect() }))
    }

    async fn complete(&self, request: Request<v1::CompleteRequest>) -> Result<Response<v1::ReportResponse>, Status> {
        let request = request.into_inner();
        let session = session_id(&request.session)?;
        let attempt = attempt_ref(request.attempt.as_ref()).map_err(|error| malformed(&error))?;
        let outcome = outcome(request.outcome).map_err(|error| malformed(&error))?;
        let report = self.0.store.complete(session, &attempt, &outcome, self.0.clock.now_us()).await?;
        info!(job = %attempt.key, attempt = attempt.attempt, ?report, "result reported");
        self.0.live.forget([&attempt]);
        self.0.live.jobs_changed();
        Ok(Response::new(answer(report)))
    }

    async fn fail(&self, request: Request<v1::FailRequest>) -> Result<Response<v1::ReportResponse>, Status> {
        let request = request.into_inner();
        let session = session_id(&request.session)?;
        let attempt = attempt_ref(request.attempt.as_ref()).map_err(|error| malformed(&error))?;
        let kind = convert::failure_kind(request.kind).map_err(|error| malformed(&error))?;
        let report = self.0.store.fail(session, &attempt, kind, &request.message, self.0.clock.now_us()).await?;
        info!(job = %attempt.key, attempt = attempt.attempt, ?kind, ?report, "failure reported");
        self.0.live.forget([&attempt]);
        self.0.live.jobs_queued();
        Ok(Response::new(answer(report)))
    }

    async fn release(&self, request: Request<v1::ReleaseRequest>) -> Result<Response<v1::ReleaseResponse>, Status> {
        let request = request.into_inner();
        let session = session_id(&request.session)?;
        at_most_attempts(request.attempts.len())?;
        let attempts = request.attempts.iter().map(|attempt| attempt_ref(Some(attempt))).collect::<Result<Vec<_>, _>>();
        let attempts = attempts.map_err(|error| malformed(&error))?;
        self.0.store.release(session, &attempts, self.0.clock.now_us()).await?;
        self.0.live.forget(&attempts);
        self.0.live.jobs_queued();
        Ok(Response::new(v1::ReleaseResponse {}))
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

impl Workers {
    /// Claims as soon as there is something to claim, and gives up after `wait` or at shutdown.
    async fn await_jobs(&self, session: SessionId, max_jobs: u32, sweep: Option<i64>, wait: Duration) -> Result<Vec<ClaimedJob>, Status> {
        let Context { store, clock, live, shutdown, .. } = &self.0;
        store.check_session(session).await?;
        let mut queue = live.watch_queue();
        let deadline = tokio::time::sleep(wait);
        tokio::pin!(deadline);
        loop {
            queue.mark_unchanged();
            if store.claimable(sweep, clock.now_us()).await? {
                let claimed = store.claim(session, max_jobs, sweep, clock.now_us(), self.lease_us()).await?;
                if !claimed.is_empty() {
                    return Ok(claimed);
                }
            }
            tokio::select! {
                () = &mut deadline => return Ok(Vec::new()),
                () = shutdown.cancelled() => return Ok(Vec::new()),
                // The sender lives as long as this service.
                _ = queue.changed() => {}
                () = tokio::time::sleep(CLAIM_LOOK) => {}
            }
        }
    }

    fn lease_us(&self) -> i64 {
        self.0.lease.as_micros() as i64
    }
}

fn session_id(text: &str) -> Result<SessionId, Status> {
    let malformed = || DecodeError::Range {
        field: "session",
        value: format!("`{}`", text.chars().take(40).collect::<String>().escape_debug()),
        expected: "what OpenSession answered",
    };
    SessionId::parse(text).ok_or_else(|| self::malformed(&malformed()))
}

/// The sweep that a claim is restricted to.
fn sweep(id: i64) -> Result<Option<i64>, Status> {
    match id {
        0 => Ok(None),
        1.. => Ok(Some(id)),
        _ => Err(malformed(&DecodeError::Range { field: "sweep", value: id.to_string(), expected: "the id of a sweep, or 0" })),
    }
}

fn new_session(request: v1::OpenSessionRequest) -> Result<NewSession, DecodeError> {
    let v1::OpenSessionRequest { worker, version, n_slots, trainer, embedded } = request;
    for (field, text) in [("worker", &worker), ("version", &version), ("trainer", &trainer)] {
        if text.is_empty() {
            return Err(DecodeError::Missing(field));
        }
        // Names end up on terminals.
        if let Some(control) = text.chars().find(|c| c.is_control()) {
            return Err(DecodeError::Range { field, value: control.escape_debug().to_string(), expected: "printable characters" });
        }
        let n_chars = text.chars().count();
        if n_chars > NAME_MAX_CHARS {
            return Err(DecodeError::Range { field, value: format!("{n_chars} characters"), expected: "at most 200 characters" });
        }
    }
    Ok(NewSession { worker, version, trainer, n_slots, embedded })
}

fn outcome(message: Option<v1::Outcome>) -> Result<Outcome, DecodeError> {
    let message = message.ok_or(DecodeError::Missing("outcome"))?;
    let n_points = message.operating_points.len();
    if n_points > POINTS_MOST {
        let value = format!("{n_points} values");
        return Err(DecodeError::Range { field: "outcome.operating_points", value, expected: "at most 10000 values" });
    }
    message.try_into()
}

fn beat(message: v1::AttemptProgress) -> Result<Beat, DecodeError> {
    // Progress is there to be shown: where it makes no sense, the lease is kept all the same.
    let progress = message.progress.and_then(|progress| Progress::try_from(progress).ok());
    Ok(Beat { attempt: attempt_ref(message.attempt.as_ref())?, progress })
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

fn answer(report: Report) -> v1::ReportResponse {
    let answer = match report {
        Report::Accepted => v1::ReportAnswer::Accepted,
        Report::Stale => v1::ReportAnswer::Stale,
    };
    v1::ReportResponse { answer: answer.into() }
}

fn in_range(field: &'static str, value: u32, range: std::ops::RangeInclusive<u32>, expected: &'static str) -> Result<(), Status> {
    if range.contains(&value) { Ok(()) } else { Err(malformed(&DecodeError::Range { field, value: value.to_string(), expected })) }
}

fn at_most_attempts(n_attempts: usize) -> Result<(), Status> {
    if n_attempts <= ATTEMPTS_MOST {
        return Ok(());
    }
    Err(malformed(&DecodeError::Range { field: "attempts", value: format!("{n_attempts} values"), expected: "at most 1024 values" }))
}
