//! Sweeps: submitted and followed.

use offramp_domain::lifecycle::State;
use offramp_domain::problem::{self, Problem};
use offramp_domain::{sweep, table};
use offramp_proto::v1;
use offramp_proto::v1::sweep_service_server::SweepService;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::info;

use super::Context;
use super::control::{self, requester};
use super::fields::{at_most_chars, quoted, selector};
use super::select::wrong_query;
use super::status::{at_fault, malformed};
use crate::store::{JobsFilter, Query, RetryStates};
use crate::watches;

/// How much of a rendered list of problems goes into a status message. It travels as a header, of which clients take 16 KiB in all.
const PROBLEMS_MAX_BYTES: usize = 8 * 1024;

/// Longest name of a sweep file: it is there for messages, which are to be read.
const FILE_NAME_MAX_CHARS: usize = 1_024;

const SWEEPS_DEFAULT: u32 = 100;
const SWEEPS_MOST: u32 = 1_000;
const JOBS_DEFAULT: u32 = 1_000;
const JOBS_MOST: u32 = 10_000;

/// Answers for [`SweepService`].
pub(crate) struct Sweeps(pub(crate) Context);

#[tonic::async_trait]
impl SweepService for Sweeps {
    async fn submit_sweep(&self, request: Request<v1::SubmitSweepRequest>) -> Result<Response<v1::SubmitSweepResponse>, Status> {
        let v1::SubmitSweepRequest { text, file_name, dry_run, retry_failed, by } = request.into_inner();
        let by = requester(by, String::new())?;
        at_most_chars("file_name", &file_name, FILE_NAME_MAX_CHARS, "at most 1024 characters").map_err(|error| malformed(&error))?;
        // Expanding thousands of jobs takes long enough to hold up every other request of this thread.
        let (text, parsed) = tokio::task::spawn_blocking(move || {
            let parsed = sweep::parse(&text);
            (text, parsed)
        })
        .await
        .map_err(|panic| Status::internal(format!("the sweep file could not be read: {panic}")))?;
        let sweep = parsed.map_err(|problems| Status::invalid_argument(render(problems, &file_name, &text)))?;
        let n_jobs = sweep.n_jobs() as u64;
        let store = &self.0.store;
        if dry_run {
            let before = store.reader().preview(&sweep).await?;
            return Ok(Response::new(v1::SubmitSweepResponse {
                sweep: None,
                created: false,
                n_jobs,
                n_known_jobs: before.n_known_jobs,
                n_finished_jobs: before.n_finished_jobs,
                n_retried_jobs: 0,
            }));
        }
        let submitted = store.submit(&sweep, &text, &by, self.0.clock.now_us()).await?;
        if submitted.created {
            info!(sweep = submitted.sweep, name = sweep.name, n_jobs, "sweep submitted");
            self.0.live.jobs_queued();
        }
        let mut n_retried_jobs = 0;
        if retry_failed && !submitted.created {
            // Whoever submits a sweep to have it run takes it up again, whatever stopped it.
            let states = RetryStates { failed: true, quarantined: false, cancelled: true };
            let retried = store.retry_sweep(submitted.sweep, states, &by, self.0.clock.now_us()).await?;
            n_retried_jobs = retried.n_jobs;
            if n_retried_jobs > 0 {
                info!(sweep = submitted.sweep, n_retried_jobs, "failed jobs queued again");
            }
            self.0.announce(&retried);
        }
        Ok(Response::new(v1::SubmitSweepResponse {
            sweep: Some(store.reader().sweep_activity(submitted.sweep).await?.sweep),
            created: submitted.created,
            n_jobs,
            n_known_jobs: submitted.before.n_known_jobs,
            n_finished_jobs: submitted.before.n_finished_jobs,
            n_retried_jobs,
        }))
    }

    async fn list_sweeps(&self, request: Request<v1::ListSweepsRequest>) -> Result<Response<v1::ListSweepsResponse>, Status> {
        Ok(Response::new(v1::ListSweepsResponse { sweeps: self.0.sweeps(request.into_inner().limit).await? }))
    }

    async fn get_sweep(&self, request: Request<v1::GetSweepRequest>) -> Result<Response<v1::SweepStatus>, Status> {
        Ok(Response::new(self.0.sweep_status(&request.into_inner().sweep).await?))
    }

    async fn get_sweep_file(&self, request: Request<v1::GetSweepRequest>) -> Result<Response<v1::SweepFile>, Status> {
        let sweep = self.0.sweep_id(&request.into_inner().sweep).await?;
        Ok(Response::new(self.0.store.reader().sweep_file(sweep).await?))
    }

    type WatchSweepStream = ReceiverStream<Result<v1::SweepStatus, Status>>;

    async fn watch_sweep(&self, request: Request<v1::GetSweepRequest>) -> Result<Response<Self::WatchSweepStream>, Status> {
        let sweep = self.0.sweep(&request.into_inner().sweep).await?;
        // One message of room: a slow watcher gets fewer, newer messages instead of a backlog.
        let (sender, receiver) = mpsc::channel(1);
        let Context { store, live, watches, shutdown, .. } = &self.0;
        let seen = watches.follow(sweep.sweep, store, live, shutdown);
        tokio::spawn(watches::pass_on(seen, sender, shutdown.clone()));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn list_jobs(&self, request: Request<v1::ListJobsRequest>) -> Result<Response<v1::ListJobsResponse>, Status> {
        let v1::ListJobsRequest { sweep, state, limit, offset } = request.into_inner();
        let state = match state.as_str() {
            "" => None,
            name => Some(State::parse(name).ok_or_else(|| unknown_state(name))?),
        };
        let reader = self.0.store.reader();
        let sweep = match sweep.as_str() {
            "" => None,
            sweep => Some(self.0.sweep_id(sweep).await?),
        };
        let filter = JobsFilter { sweep, state, limit: bounded(limit, JOBS_DEFAULT, JOBS_MOST), offset };
        Ok(Response::new(v1::ListJobsResponse { jobs: reader.jobs(filter).await? }))
    }

    async fn explain_job(&self, request: Request<v1::ExplainJobRequest>) -> Result<Response<v1::JobExplanation>, Status> {
        let job = request.into_inner().job;
        selector("job", &job)?;
        Ok(Response::new(self.0.store.reader().explain(&job, self.0.clock.now_us()).await?))
    }

    async fn pause_sweep(&self, request: Request<v1::ControlSweepRequest>) -> Result<Response<v1::ControlSweepResponse>, Status> {
        let v1::ControlSweepRequest { sweep, by, reason } = request.into_inner();
        let (by, sweep) = (requester(by, reason)?, self.0.sweep_id(&sweep).await?);
        let paused = self.0.store.pause(sweep, &by, self.0.clock.now_us()).await;
        self.0.answer_for_sweep(sweep, "paused", &by, paused).await
    }

    async fn resume_sweep(&self, request: Request<v1::ControlSweepRequest>) -> Result<Response<v1::ControlSweepResponse>, Status> {
        let v1::ControlSweepRequest { sweep, by, reason } = request.into_inner();
        let (by, sweep) = (requester(by, reason)?, self.0.sweep_id(&sweep).await?);
        let resumed = self.0.store.resume(sweep, &by, self.0.clock.now_us()).await;
        self.0.answer_for_sweep(sweep, "resumed", &by, resumed).await
    }

    async fn cancel_sweep(&self, request: Request<v1::ControlSweepRequest>) -> Result<Response<v1::ControlSweepResponse>, Status> {
        let v1::ControlSweepRequest { sweep, by, reason } = request.into_inner();
        let (by, sweep) = (requester(by, reason)?, self.0.sweep_id(&sweep).await?);
        let cancelled = self.0.store.cancel_sweep(sweep, &by, self.0.clock.now_us()).await;
        self.0.answer_for_sweep(sweep, "cancelled", &by, cancelled).await
    }

    async fn prioritize_sweep(&self, request: Request<v1::PrioritizeSweepRequest>) -> Result<Response<v1::ControlSweepResponse>, Status> {
        let v1::PrioritizeSweepRequest { sweep, priority, by, reason } = request.into_inner();
        let (by, priority, sweep) = (requester(by, reason)?, control::priority(priority)?, self.0.sweep_id(&sweep).await?);
        let prioritized = self.0.store.prioritize_sweep(sweep, priority, &by, self.0.clock.now_us()).await;
        self.0.answer_for_sweep(sweep, "prioritized", &by, prioritized).await
    }

    async fn retry_jobs(&self, request: Request<v1::RetryJobsRequest>) -> Result<Response<v1::RetryJobsResponse>, Status> {
        self.0.retry(request.into_inner()).await
    }

    async fn cancel_job(&self, request: Request<v1::ControlJobRequest>) -> Result<Response<v1::ControlJobResponse>, Status> {
        let v1::ControlJobRequest { job, by, reason } = request.into_inner();
        let (by, key) = (requester(by, reason)?, self.0.job_key(&job).await?);
        let cancelled = self.0.store.cancel_job(&key, &by, self.0.clock.now_us()).await;
        self.0.answer_for_job(&key, "cancelled", &by, cancelled).await
    }

    async fn delete_job(&self, request: Request<v1::ControlJobRequest>) -> Result<Response<v1::DeleteJobsResponse>, Status> {
        let v1::ControlJobRequest { job, by, reason } = request.into_inner();
        let (by, key) = (requester(by, reason)?, self.0.job_key(&job).await?);
        let deleted = self.0.store.delete_job(&key, &by, self.0.clock.now_us()).await;
        self.0.answer_for_deletion(&format!("job {}", key.id()), &by, deleted)
    }

    async fn delete_sweep(&self, request: Request<v1::ControlSweepRequest>) -> Result<Response<v1::DeleteJobsResponse>, Status> {
        let v1::ControlSweepRequest { sweep, by, reason } = request.into_inner();
        let (by, sweep) = (requester(by, reason)?, self.0.sweep_id(&sweep).await?);
        let deleted = self.0.store.delete_sweep(sweep, &by, self.0.clock.now_us()).await;
        self.0.answer_for_deletion(&format!("sweep {sweep}"), &by, deleted)
    }

    async fn prioritize_job(&self, request: Request<v1::PrioritizeJobRequest>) -> Result<Response<v1::ControlJobResponse>, Status> {
        let v1::PrioritizeJobRequest { job, priority, by, reason } = request.into_inner();
        let (by, priority, key) = (requester(by, reason)?, control::priority(priority)?, self.0.job_key(&job).await?);
        let prioritized = self.0.store.prioritize_job(&key, priority, &by, self.0.clock.now_us()).await;
        self.0.answer_for_job(&key, "prioritized", &by, prioritized).await
    }

    async fn get_job(&self, request: Request<v1::GetJobRequest>) -> Result<Response<v1::JobDetail>, Status> {
        Ok(Response::new(self.0.job(&request.into_inner().job).await?))
    }
}

/// What is answered as JSON over HTTP, too.
impl Context {
    pub(crate) async fn sweeps(&self, limit: u32) -> Result<Vec<v1::SweepRow>, Status> {
        Ok(self.store.reader().sweeps(bounded(limit, SWEEPS_DEFAULT, SWEEPS_MOST)).await?)
    }

    pub(crate) async fn sweep_status(&self, sweep: &str) -> Result<v1::SweepStatus, Status> {
        let sweep = self.sweep(sweep).await?;
        status(self, sweep.sweep).await
    }

    pub(crate) async fn job(&self, job: &str) -> Result<v1::JobDetail, Status> {
        selector("job", job)?;
        Ok(self.store.reader().job(job).await?)
    }

    /// A sweep's jobs in its order unless another one is asked for, and whether there are more.
    pub(crate) async fn jobs(
        &self,
        sweep: &str,
        state: &str,
        filter: &str,
        sort: &[String],
        limit: u32,
        offset: u64,
    ) -> Result<(Vec<v1::JobRow>, bool), Status> {
        let view = table::view("jobs").map_err(|error| Status::internal(error.to_string()))?;
        let none: [&str; 0] = [];
        let read = |filter: &str| Query::parse(view, filter, sort, &none).map_err(|error| wrong_query(&error));
        // As it was written, so that what is wrong with it is told of what was written.
        let mut query = read(filter)?;
        if !state.is_empty() {
            let state = State::parse(state).ok_or_else(|| unknown_state(state))?.as_str();
            query = read(&if filter.is_empty() { format!("state = {state}") } else { format!("({filter}) and state = {state}") })?;
        }
        let query = Query { sweep: Some(self.sweep_id(sweep).await?), offset, ..query };
        Ok(self.store.reader().page(view, query, bounded(limit, JOBS_DEFAULT, JOBS_MOST) as usize).await?)
    }
}

async fn status(context: &Context, sweep: i64) -> Result<v1::SweepStatus, Status> {
    let activity = context.store.reader().sweep_activity(sweep).await?;
    Ok(v1::SweepStatus { sweep: Some(activity.sweep), running: context.live.complete(activity.running) })
}

fn unknown_state(name: &str) -> Status {
    let known = State::ALL.map(State::as_str).join("`, `");
    at_fault("state", format!("no job state is called {}\nhint: the states are `{known}`", quoted(name)))
}

pub(super) const fn bounded(limit: u32, default: u32, most: u32) -> u32 {
    match limit {
        0 => default,
        limit if limit > most => most,
        limit => limit,
    }
}

/// The problems in the order of their places, as many as a status message holds.
fn render(mut problems: Vec<Problem>, file_name: &str, text: &str) -> String {
    problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
    let rendered: Vec<String> = problems.iter().map(|problem| problem::render(std::slice::from_ref(problem), file_name, text)).collect();
    let mut n_bytes = 0;
    let n_shown = rendered.iter().take_while(|problem| {
        n_bytes += encoded_length(problem);
        n_bytes <= PROBLEMS_MAX_BYTES
    });
    let n_shown = n_shown.count();
    let mut parts = rendered[..n_shown].to_vec();
    // Of a single problem that is too long, the beginning: whoever asked learns more from it than from nothing.
    if let (0, Some(first)) = (n_shown, rendered.first()) {
        parts.push(format!("{}...", beginning(first)));
    }
    if parts.len() < rendered.len() {
        parts.push(format!("{} more problems are not shown", rendered.len() - parts.len()));
    }
    parts.join("\n")
}

/// As much of a text as a status message holds.
fn beginning(text: &str) -> &str {
    let mut n_bytes = 0;
    let fits = |(_, c): &(usize, char)| {
        n_bytes += encoded_length(c.encode_utf8(&mut [0; 4]));
        n_bytes > PROBLEMS_MAX_BYTES
    };
    text.char_indices().find(fits).map_or(text, |(end, _)| &text[..end])
}

/// Length of a status message on the wire, where everything but plain ASCII is written as `%XX`.
fn encoded_length(text: &str) -> usize {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() || byte == b' ' { 1 } else { 3 }).sum()
}
