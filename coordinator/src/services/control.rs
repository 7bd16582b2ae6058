//! What people ask of sweeps and jobs.

use offramp_domain::job::JobKey;
use offramp_domain::sweep::PRIORITIES;
use offramp_proto::convert::DecodeError;
use offramp_proto::v1;
use tonic::{Response, Status};
use tracing::info;

use super::Context;
use super::fields::{printable_text, selector};
use super::status::malformed;
use crate::store::{ControlError, Controlled, Deleted, Requester, RetryStates};

/// Longest name of who asks, characters.
const WHO_MAX_CHARS: usize = 200;
/// Longest reason, characters.
const REASON_MAX_CHARS: usize = 1_000;

/// Who asks, and why: both end up on terminals.
pub(super) fn requester(by: String, reason: String) -> Result<Requester, Status> {
    printable_text("by", &by, WHO_MAX_CHARS, "at most 200 printable characters")
        .and_then(|()| printable_text("reason", &reason, REASON_MAX_CHARS, "at most 1000 printable characters"))
        .map_err(|error| malformed(&error))?;
    let who = if by.is_empty() { "somebody".to_owned() } else { by };
    Ok(Requester { who, reason })
}

pub(super) fn priority(priority: i32) -> Result<i32, Status> {
    if PRIORITIES.contains(&priority) {
        return Ok(priority);
    }
    Err(malformed(&DecodeError::Range { field: "priority", value: priority.to_string(), expected: "-100 to 100" }))
}

impl Context {
    /// The id of the sweep that a selector means.
    pub(super) async fn sweep_id(&self, sweep: &str) -> Result<i64, Status> {
        Ok(self.sweep(sweep).await?.sweep)
    }

    /// The sweep that a selector means.
    pub(super) async fn sweep(&self, sweep: &str) -> Result<v1::SweepRow, Status> {
        selector("sweep", sweep)?;
        Ok(self.store.reader().sweep(sweep).await?)
    }

    /// The key of the job that an id or a prefix means.
    pub(super) async fn job_key(&self, prefix: &str) -> Result<JobKey, Status> {
        selector("job", prefix)?;
        Ok(self.store.reader().job_key(prefix).await?)
    }

    /// Tells whoever waits what a request changed.
    pub(super) fn announce(&self, controlled: &Controlled) {
        self.live.forget(&controlled.ended);
        if controlled.changed {
            self.live.jobs_queued();
        }
    }

    pub(super) async fn answer_for_sweep(
        &self,
        sweep: i64,
        what: &'static str,
        by: &Requester,
        controlled: Result<Controlled, ControlError>,
    ) -> Result<Response<v1::ControlSweepResponse>, Status> {
        let controlled = controlled?;
        self.announce(&controlled);
        if controlled.changed {
            info!(sweep, n_jobs = controlled.n_jobs, by = by.who, reason = by.reason, "sweep {what}");
        }
        let row = self.store.reader().sweep_activity(sweep).await?.sweep;
        Ok(Response::new(v1::ControlSweepResponse { sweep: Some(row), n_changed_jobs: controlled.n_jobs }))
    }

    pub(super) async fn answer_for_job(
        &self,
        key: &JobKey,
        what: &'static str,
        by: &Requester,
        controlled: Result<Controlled, ControlError>,
    ) -> Result<Response<v1::ControlJobResponse>, Status> {
        let controlled = controlled?;
        self.announce(&controlled);
        if controlled.changed {
            info!(job = key.id(), by = by.who, reason = by.reason, "job {what}");
        }
        let job = self.store.reader().job(key.as_str()).await?.job;
        Ok(Response::new(v1::ControlJobResponse { job, changed: controlled.changed }))
    }

    /// Tells of what was deleted.
    pub(super) fn answer_for_deletion(
        &self,
        what: &str,
        by: &Requester,
        deleted: Result<Deleted, ControlError>,
    ) -> Result<Response<v1::DeleteJobsResponse>, Status> {
        let Deleted { n_jobs, n_kept_jobs, changed } = deleted?;
        if changed {
            info!(n_jobs, n_kept_jobs, by = by.who, reason = by.reason, "{what} deleted");
            // What waited for these waits no longer.
            self.live.jobs_queued();
        }
        Ok(Response::new(v1::DeleteJobsResponse { n_deleted_jobs: n_jobs, n_kept_jobs }))
    }

    /// Retries a job, or a sweep's jobs in the states that are named.
    pub(super) async fn retry(&self, request: v1::RetryJobsRequest) -> Result<Response<v1::RetryJobsResponse>, Status> {
        let v1::RetryJobsRequest { which, failed, quarantined, cancelled, by, reason, again } = request;
        let by = requester(by, reason)?;
        let now_us = self.clock.now_us();
        let controlled = match which {
            None => return Err(malformed(&DecodeError::Missing("which"))),
            Some(v1::retry_jobs_request::Which::Job(prefix)) => {
                let key = self.job_key(&prefix).await?;
                self.store.retry_job(&key, again, &by, now_us).await?
            }
            Some(v1::retry_jobs_request::Which::Sweep(sweep)) => {
                let states = RetryStates { failed, quarantined, cancelled };
                if states == RetryStates::default() {
                    let expected = "at least one of `failed`, `quarantined` and `cancelled`";
                    return Err(malformed(&DecodeError::Range { field: "which", value: "no state".to_owned(), expected }));
                }
                let sweep = self.sweep_id(&sweep).await?;
                self.store.retry_sweep(sweep, states, &by, now_us).await?
            }
        };
        info!(n_jobs = controlled.n_jobs, by = by.who, reason = by.reason, "jobs queued again");
        self.announce(&controlled);
        Ok(Response::new(v1::RetryJobsResponse { n_retried_jobs: controlled.n_jobs }))
    }
}
