//! Calls to a coordinator, and what their refusals mean to a person.

use std::error::Error as _;
use std::time::Duration;

use offramp_proto::v1;
use offramp_proto::v1::fleet_service_client::FleetServiceClient;
use offramp_proto::v1::result_service_client::ResultServiceClient;
use offramp_proto::v1::sweep_service_client::SweepServiceClient;
use offramp_proto::v1::worker_service_client::WorkerServiceClient;
use offramp_proto::{PROTOCOL, PROTOCOL_HEADER};
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::back_off::BackOff;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

/// How long a coordinator may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may take to answer a call; submitting the largest sweeps takes seconds.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);
/// How often a connection is probed while a call or a stream is open: a coordinator whose machine is gone sends nothing to say so.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// The largest answer taken: ten thousand jobs or a hundred thousand points fit well.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// How long a coordinator that does not answer is tried again: a supervisor needs this to restart one, and a person does not mind.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// The same for a command that waits in any case.
pub(crate) const LONG_PATIENCE: Duration = Duration::from_secs(30);

/// A line to a coordinator. Every call has a deadline, is repeated for a bounded time while nobody answers (all of them may be repeated, see
/// `offramp/v1/sweep.proto`), and says which protocol it speaks.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    url: String,
    stubs: Stubs,
    patience: Duration,
}

#[derive(Debug, Clone)]
struct Stubs {
    sweeps: SweepServiceClient<Line>,
    results: ResultServiceClient<Line>,
    workers: WorkerServiceClient<Line>,
    fleet: FleetServiceClient<Line>,
}

type Line = InterceptedService<Channel, Versioned>;

/// Puts the protocol's version on every call.
#[derive(Debug, Clone, Copy)]
struct Versioned;

impl Interceptor for Versioned {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(PROTOCOL_HEADER, MetadataValue::from(PROTOCOL));
        Ok(request)
    }
}

impl Client {
    /// A line to the coordinator at `url`; the first call connects. While nobody answers, calls are repeated for `patience`.
    ///
    /// # Errors
    /// Exit code 2 when that is no URL.
    pub(crate) fn new(url: &str, patience: Duration) -> Result<Self, Failure> {
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|error| Failure::with_exit(Exit::Usage, anyhow::Error::new(error).context(format!("`{url}` is not a URL"))))?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_INTERVAL);
        let channel = endpoint.connect_lazy();
        let stubs = Stubs {
            sweeps: SweepServiceClient::with_interceptor(channel.clone(), Versioned).max_decoding_message_size(MAX_ANSWER_BYTES),
            results: ResultServiceClient::with_interceptor(channel.clone(), Versioned).max_decoding_message_size(MAX_ANSWER_BYTES),
            workers: WorkerServiceClient::with_interceptor(channel.clone(), Versioned),
            fleet: FleetServiceClient::with_interceptor(channel, Versioned).max_decoding_message_size(MAX_ANSWER_BYTES),
        };
        Ok(Self { url: url.to_owned(), stubs, patience })
    }

    /// Asks whether a worker would be let in, by introducing it and leaving again.
    ///
    /// # Errors
    /// What the worker would be told.
    pub(crate) async fn try_session(&self, introduction: v1::OpenSessionRequest) -> Result<(), Failure> {
        let opened = self.call(introduction, |mut stubs, request| async move { stubs.workers.open_session(request).await }).await?;
        let request = v1::CloseSessionRequest { session: opened.session };
        self.call(request, |mut stubs, request| async move { stubs.workers.close_session(request).await }).await.map(drop)
    }

    /// Submits a sweep file's text.
    pub(crate) async fn submit(&self, request: v1::SubmitSweepRequest) -> Result<v1::SubmitSweepResponse, Failure> {
        self.call(request, |mut stubs, request| async move { stubs.sweeps.submit_sweep(request).await }).await
    }

    /// Lists sweeps, newest first.
    pub(crate) async fn sweeps(&self, limit: u32) -> Result<Vec<v1::SweepRow>, Failure> {
        let request = v1::ListSweepsRequest { limit };
        let answer = self.call(request, |mut stubs, request| async move { stubs.sweeps.list_sweeps(request).await }).await?;
        Ok(answer.sweeps)
    }

    /// Shows a sweep.
    pub(crate) async fn sweep(&self, sweep: &str) -> Result<v1::SweepStatus, Failure> {
        let request = v1::GetSweepRequest { sweep: sweep.to_owned() };
        self.call(request, |mut stubs, request| async move { stubs.sweeps.get_sweep(request).await }).await
    }

    /// Follows a sweep until it is finished.
    pub(crate) async fn watch(&self, sweep: &str) -> Result<Streaming<v1::SweepStatus>, Failure> {
        // Its beginning has a time limit, the stream itself has none: it lasts as long as the sweep.
        let request = v1::GetSweepRequest { sweep: sweep.to_owned() };
        self.repeat(|mut stubs| {
            let request = request.clone();
            async move { stubs.sweeps.watch_sweep(request).await }
        })
        .await
    }

    /// Lists jobs.
    pub(crate) async fn jobs(&self, request: v1::ListJobsRequest) -> Result<Vec<v1::JobRow>, Failure> {
        Ok(self.call(request, |mut stubs, request| async move { stubs.sweeps.list_jobs(request).await }).await?.jobs)
    }

    /// Shows a job.
    pub(crate) async fn job(&self, job: &str) -> Result<v1::JobDetail, Failure> {
        let request = v1::GetJobRequest { job: job.to_owned() };
        self.call(request, |mut stubs, request| async move { stubs.sweeps.get_job(request).await }).await
    }

    /// Says why a job is not running.
    pub(crate) async fn explain(&self, job: &str) -> Result<v1::JobExplanation, Failure> {
        let request = v1::ExplainJobRequest { job: job.to_owned() };
        self.call(request, |mut stubs, request| async move { stubs.sweeps.explain_job(request).await }).await
    }

    /// Hands out no more of a sweep's jobs.
    pub(crate) async fn pause_sweep(&self, request: v1::ControlSweepRequest) -> Result<v1::ControlSweepResponse, Failure> {
        self.call(request, |mut stubs, request| async move { stubs.sweeps.pause_sweep(request).await }).await
    }

    /// Goes on with a sweep.
    pub(crate) async fn resume_sweep(&self, request: v1::ControlSweepRequest) -> Result<v1::ControlSweepResponse, Failure> {
        self.call(request, |mut stubs, request| async move { stubs.sweeps.resume_sweep(request).await }).await
    }

    /// Cancels what is left of a sweep.
    pub(crate) async fn cancel_sweep(&self, request: v1::ControlSweepRequest) -> Result<v1::ControlSweepResponse, Failure> {
        self.call(request, |mut stubs, request| async move { stubs.sweeps.cancel_sweep(request).await }).await
    }

    /// Sets a sweep's priority.
    pub(crate) async fn prioritize_sweep(&self, request: v1::PrioritizeSweepRequest) -> Result<v1::ControlSweepResponse, Failure> {
        self.call(request, |mut stubs, request| async move { stubs.sweeps.prioritize_sweep(request).await }).await
    }

    /// Queues jobs again.
    pub(crate) async fn retry_jobs(&self, request: v1::RetryJobsRequest) -> Result<v1::RetryJobsResponse, Failure> {
        self.call(request, |mut stubs, request| async move { stubs.sweeps.retry_jobs(request).await }).await
    }

    /// Cancels a job.
    pub(crate) async fn cancel_job(&self, request: v1::ControlJobRequest) -> Result<v1::ControlJobResponse, Failure> {
        self.call(request, |mut stubs, request| async move { stubs.sweeps.cancel_job(request).await }).await
    }

    /// Deletes a job.
    pub(crate) async fn delete_job(&self, request: v1::ControlJobRequest) -> Result<v1::DeleteJobsResponse, Failure> {
        self.call(request, |mut stubs, request| async move { stubs.sweeps.delete_job(request).await }).await
    }

    /// Deletes a sweep.
    pub(crate) async fn delete_sweep(&self, request: v1::ControlSweepRequest) -> Result<v1::DeleteJobsResponse, Failure> {
        self.call(request, |mut stubs, request| async move { stubs.sweeps.delete_sweep(request).await }).await
    }

    /// Sets a job's own priority.
    pub(crate) async fn prioritize_job(&self, request: v1::PrioritizeJobRequest) -> Result<v1::ControlJobResponse, Failure> {
        self.call(request, |mut stubs, request| async move { stubs.sweeps.prioritize_job(request).await }).await
    }

    /// A sweep's file as it was submitted.
    pub(crate) async fn sweep_file(&self, sweep: &str) -> Result<v1::SweepFile, Failure> {
        let request = v1::GetSweepRequest { sweep: sweep.to_owned() };
        self.call(request, |mut stubs, request| async move { stubs.sweeps.get_sweep_file(request).await }).await
    }

    /// Lists workers, newest first.
    pub(crate) async fn workers(&self, ended: bool, limit: u32) -> Result<Vec<v1::WorkerRow>, Failure> {
        let request = v1::ListWorkersRequest { ended, limit };
        Ok(self.call(request, |mut stubs, request| async move { stubs.fleet.list_workers(request).await }).await?.workers)
    }

    /// Sends workers home.
    pub(crate) async fn drain(&self, request: v1::DrainWorkersRequest) -> Result<Vec<v1::WorkerRow>, Failure> {
        Ok(self.call(request, |mut stubs, request| async move { stubs.fleet.drain_workers(request).await }).await?.workers)
    }

    /// Frontiers of a sweep; of all sweeps together where none is named.
    pub(crate) async fn frontier(
        &self,
        sweep: &str,
        grouping: v1::Grouping,
        metric: v1::CostMetric,
    ) -> Result<v1::GetFrontierResponse, Failure> {
        let (sweep, grouping, cost_metric) = (sweep.to_owned(), grouping.into(), metric.into());
        let request = v1::GetFrontierRequest { sweep, grouping, cost_metric, ..Default::default() };
        self.call(request, |mut stubs, request| async move { stubs.results.get_frontier(request).await }).await
    }

    /// Every point that is or was on such frontiers.
    pub(crate) async fn frontier_history(
        &self,
        sweep: &str,
        grouping: v1::Grouping,
        metric: v1::CostMetric,
    ) -> Result<v1::GetFrontierHistoryResponse, Failure> {
        let (sweep, grouping, cost_metric) = (sweep.to_owned(), grouping.into(), metric.into());
        let request = v1::GetFrontierHistoryRequest { sweep, grouping, cost_metric, ..Default::default() };
        self.call(request, |mut stubs, request| async move { stubs.results.get_frontier_history(request).await }).await
    }

    /// The exits of a sweep's finished jobs.
    pub(crate) async fn results(&self, sweep: &str) -> Result<v1::ListResultsResponse, Failure> {
        let request = v1::ListResultsRequest { sweep: sweep.to_owned(), ..Default::default() };
        self.call(request, |mut stubs, request| async move { stubs.results.list_results(request).await }).await
    }

    /// The patterns of a sweep over their seeds.
    pub(crate) async fn patterns(&self, sweep: &str) -> Result<v1::ListPatternsResponse, Failure> {
        let request = v1::ListPatternsRequest { sweep: sweep.to_owned(), ..Default::default() };
        self.call(request, |mut stubs, request| async move { stubs.results.list_patterns(request).await }).await
    }

    /// What differs in one factor alone.
    pub(crate) async fn compare(&self, request: v1::CompareRequest) -> Result<v1::CompareResponse, Failure> {
        self.call(request, |mut stubs, request| async move { stubs.results.compare(request).await }).await
    }

    /// Cells over their seeds.
    pub(crate) async fn cells(&self, request: v1::ListCellsRequest) -> Result<v1::ListCellsResponse, Failure> {
        self.call(request, |mut stubs, request| async move { stubs.results.list_cells(request).await }).await
    }

    /// What differs between two sweeps.
    pub(crate) async fn diff_sweeps(&self, request: v1::DiffSweepsRequest) -> Result<v1::DiffSweepsResponse, Failure> {
        self.call(request, |mut stubs, request| async move { stubs.results.diff_sweeps(request).await }).await
    }

    /// Makes a call whose deadline the coordinator knows, too: it need not finish what nobody waits for any more.
    async fn call<Q, A, Answer>(&self, request: Q, send: impl Fn(Stubs, Request<Q>) -> Answer) -> Result<A, Failure>
    where
        Q: Clone,
        Answer: Future<Output = Result<Response<A>, Status>>,
    {
        self.repeat(|stubs| {
            let mut request = Request::new(request.clone());
            request.set_timeout(CALL_TIMEOUT);
            send(stubs, request)
        })
        .await
    }

    /// Repeats a call while nobody answers it.
    async fn repeat<A, Answer>(&self, send: impl Fn(Stubs) -> Answer) -> Result<A, Failure>
    where
        Answer: Future<Output = Result<Response<A>, Status>>,
    {
        let mut back_off = BackOff::new(self.patience);
        loop {
            let late = |_| Err(Status::deadline_exceeded(""));
            let status = match tokio::time::timeout(CALL_TIMEOUT, send(self.stubs.clone())).await.unwrap_or_else(late) {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => status,
            };
            let delay = is_away(&status).then(|| back_off.next()).flatten();
            let Some(delay) = delay else { return Err(self.refused(&status)) };
            tracing::debug!(?status, ?delay, "trying again");
            if back_off.is_first() {
                output::say(&format!("no answer from {}; trying again for {} s", self.url, self.patience.as_secs()));
            }
            tokio::time::sleep(delay).await;
        }
    }

    /// What a refusal comes to.
    pub(crate) fn refused(&self, status: &Status) -> Failure {
        match status.code() {
            // Its own words, as opposed to those of a connection that failed.
            Code::Unavailable if status.source().is_none() => {
                let (message, hint) = parts(status);
                let failure =
                    Failure::with_exit(Exit::Unreachable, anyhow::anyhow!("the coordinator at {} cannot answer: {message}", self.url));
                match hint {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
            _ if is_away(status) => {
                tracing::debug!(?status, "call failed");
                unreachable(&self.url)
            }
            // Nobody but the deadline cancels a call of ours over a connection that holds.
            Code::DeadlineExceeded | Code::Cancelled => {
                let error = anyhow::anyhow!("the coordinator at {} did not answer within {} s", self.url, CALL_TIMEOUT.as_secs());
                Failure::with_exit(Exit::Unreachable, error).hint("it is overloaded, or the network is; repeating the command does no harm")
            }
            code => {
                let (message, hint) = parts(status);
                let failure = Failure::with_exit(Exit::of_status(code), anyhow::anyhow!("{message}"));
                match hint {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
        }
    }
}

/// A refusal's message, and the hint that its second part is, where there is one.
pub(crate) fn parts(status: &Status) -> (&str, Option<&str>) {
    match status.message().rsplit_once("\nhint: ") {
        Some((message, hint)) => (message, Some(hint)),
        None => (status.message(), None),
    }
}

fn unreachable(url: &str) -> Failure {
    Failure::with_exit(Exit::Unreachable, anyhow::anyhow!("no coordinator answers at {url}")).hint(
        "start one with `offramp coordinator`, or name another with --coordinator; \
         reading commands take --database instead, without a coordinator",
    )
}

/// Whether the coordinator is away, so that the call may be repeated: it says so itself, or the connection broke. One that breaks in the middle of a
/// call or a stream, as when the coordinator is killed, has a source and any of these codes.
pub(crate) fn is_away(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable => true,
        Code::Unknown | Code::Internal | Code::Cancelled => status.source().is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
