//! Sweeps: submitted and followed.

use std::time::Duration;

use offramp_domain::lifecycle::State;
use offramp_domain::problem::{self, Problem};
use offramp_domain::sweep;
use offramp_proto::v1;
use offramp_proto::v1::sweep_service_server::SweepService;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::info;

use super::Context;
use crate::store::JobsFilter;

/// Least time between two messages of a watched sweep: as often as an eye can follow a counter.
const WATCH_PAUSE: Duration = Duration::from_millis(200);
/// A watched sweep is looked at this often even when nothing was announced.
const WATCH_LOOK: Duration = Duration::from_secs(2);
/// How much of a rendered list of problems goes into a status message. It travels as a header, of which clients take 16 KiB in all.
const PROBLEMS_MAX_BYTES: usize = 8 * 1024;

const SWEEPS_DEFAULT: u32 = 100;
const SWEEPS_MOST: u32 = 1_000;
const JOBS_DEFAULT: u32 = 1_000;
const JOBS_MOST: u32 = 10_000;

/// Answers for [`SweepService`].
pub(crate) struct Sweeps(pub(crate) Context);

#[tonic::async_trait]
impl SweepService for Sweeps {
    async fn submit_sweep(&self, request: Request<v1::SubmitSweepRequest>) -> Result<Response<v1::SubmitSweepResponse>, Status> {
        let v1::SubmitSweepRequest { text, file_name, dry_run, retry_failed } = request.into_inner();
        // Expanding thousands of jobs takes long enough to hold up every other request of this thread.
        let (text, parsed) = tokio::task::spawn_blocking(move || {
            let parsed = sweep::parse(&text);
            (text, parsed)
        })
        .await
        .map_err(|panic| Status::internal(format!("the sweep file could not be read: {panic}")))?;
        let sweep = parsed.map_err(|problems| Status::invalid_argument(render(problems, &file_name, &text)))?;
        let n_jobs = sweep.jobs.len() as u64;
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
        let submitted = store.submit(&sweep, &text, self.0.clock.now_us()).await?;
        if submitted.created {
            info!(sweep = submitted.sweep, name = sweep.name, n_jobs, "sweep submitted");
            self.0.live.jobs_queued();
        }
        let n_retried_jobs = if retry_failed { store.retry_failed(submitted.sweep, self.0.clock.now_us()).await? } else { 0 };
        if n_retried_jobs > 0 {
            info!(sweep = submitted.sweep, n_retried_jobs, "failed jobs queued again");
            self.0.live.jobs_queued();
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
        let limit = bounded(request.into_inner().limit, SWEEPS_DEFAULT, SWEEPS_MOST);
        Ok(Response::new(v1::ListSweepsResponse { sweeps: self.0.store.reader().sweeps(limit).await? }))
    }

    async fn get_sweep(&self, request: Request<v1::GetSweepRequest>) -> Result<Response<v1::SweepStatus>, Status> {
        let sweep = self.0.store.reader().sweep(&request.into_inner().sweep).await?;
        Ok(Response::new(status(&self.0, sweep.sweep).await?))
    }

    type WatchSweepStream = ReceiverStream<Result<v1::SweepStatus, Status>>;

    async fn watch_sweep(&self, request: Request<v1::GetSweepRequest>) -> Result<Response<Self::WatchSweepStream>, Status> {
        let sweep = self.0.store.reader().sweep(&request.into_inner().sweep).await?;
        // One message of room: a slow watcher gets fewer, newer messages instead of a backlog.
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(watch(self.0.clone(), sweep.sweep, sender));
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
            selector => Some(reader.sweep(selector).await?.sweep),
        };
        let filter = JobsFilter { sweep, state, limit: bounded(limit, JOBS_DEFAULT, JOBS_MOST), offset };
        Ok(Response::new(v1::ListJobsResponse { jobs: reader.jobs(filter).await? }))
    }

    async fn get_job(&self, request: Request<v1::GetJobRequest>) -> Result<Response<v1::JobDetail>, Status> {
        Ok(Response::new(self.0.store.reader().job(&request.into_inner().job).await?))
    }
}

/// Sends the sweep's status at once and after every change, until it is finished or nobody listens.
async fn watch(context: Context, sweep: i64, sender: mpsc::Sender<Result<v1::SweepStatus, Status>>) {
    let mut changes = context.live.watch_changes();
    let mut last = None;
    loop {
        changes.mark_unchanged();
        let status = match status(&context, sweep).await {
            Ok(status) => status,
            Err(refusal) => {
                // Whoever hung up does not need to be told.
                let _ = sender.send(Err(refusal)).await;
                return;
            }
        };
        let finished = status.sweep.as_ref().is_some_and(|sweep| sweep.state == "finished");
        if last.as_ref() != Some(&status) {
            if sender.send(Ok(status.clone())).await.is_err() {
                return;
            }
            last = Some(status);
        }
        if finished {
            return;
        }
        let next = async {
            tokio::time::sleep(WATCH_PAUSE).await;
            // A timeout is as good as a change: it is time to look.
            let _ = tokio::time::timeout(WATCH_LOOK, changes.changed()).await;
        };
        tokio::select! {
            () = next => {}
            () = sender.closed() => return,
            () = context.shutdown.cancelled() => {
                let _ = sender.send(Err(Status::unavailable("the coordinator is shutting down"))).await;
                return;
            }
        }
    }
}

async fn status(context: &Context, sweep: i64) -> Result<v1::SweepStatus, Status> {
    let activity = context.store.reader().sweep_activity(sweep).await?;
    Ok(v1::SweepStatus { sweep: Some(activity.sweep), running: context.live.complete(activity.running) })
}

fn unknown_state(name: &str) -> Status {
    let known = State::ALL.map(State::as_str).join("`, `");
    let name: String = name.chars().take(40).collect();
    Status::invalid_argument(format!("no job state is called `{}`\nhint: the states are `{known}`", name.escape_debug()))
}

const fn bounded(limit: u32, default: u32, most: u32) -> u32 {
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
    // Even a single problem that is too long is shown: whoever asked learns more from it than from nothing.
    let n_shown = n_shown.count().max(1).min(rendered.len());
    let mut parts = rendered[..n_shown].to_vec();
    if n_shown < rendered.len() {
        parts.push(format!("{} more problems are not shown", rendered.len() - n_shown));
    }
    parts.join("\n")
}

/// Length of a status message on the wire, where everything but plain ASCII is written as `%XX`.
fn encoded_length(text: &str) -> usize {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() || byte == b' ' { 1 } else { 3 }).sum()
}
