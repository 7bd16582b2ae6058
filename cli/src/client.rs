//! Calls to a coordinator, and what their refusals mean to a person.

use std::error::Error as _;
use std::time::Duration;

use offramp_proto::v1;
use offramp_proto::v1::result_service_client::ResultServiceClient;
use offramp_proto::v1::sweep_service_client::SweepServiceClient;
use offramp_proto::v1::worker_service_client::WorkerServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use crate::exit::Exit;
use crate::failure::Failure;

/// How long a coordinator may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may take to answer a call; submitting the largest sweeps takes seconds.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);
/// The largest answer taken: ten thousand jobs or a hundred thousand points fit well.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// A connection to a coordinator.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    url: String,
    sweeps: SweepServiceClient<Channel>,
    results: ResultServiceClient<Channel>,
    workers: WorkerServiceClient<Channel>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Exit code 3 when nobody answers.
    pub(crate) async fn connect(url: &str) -> Result<Self, Failure> {
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|error| Failure::with_exit(Exit::Usage, anyhow::Error::new(error).context(format!("`{url}` is not a URL"))))?;
        let channel = endpoint.connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true).connect().await.map_err(|error| {
            tracing::debug!(?error, "no connection");
            unreachable(url)
        })?;
        Ok(Self {
            url: url.to_owned(),
            sweeps: SweepServiceClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES),
            results: ResultServiceClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES),
            workers: WorkerServiceClient::new(channel),
        })
    }

    /// Asks whether a worker would be let in, by introducing it and leaving again.
    ///
    /// # Errors
    /// What the worker would be told.
    pub(crate) async fn try_session(&mut self, introduction: v1::OpenSessionRequest) -> Result<(), Failure> {
        let opened = self.workers.open_session(timed(introduction)).await.map_err(|status| self.refused(&status))?;
        let request = timed(v1::CloseSessionRequest { session: opened.into_inner().session });
        self.workers.close_session(request).await.map(drop).map_err(|status| self.refused(&status))
    }

    /// Submits a sweep file's text.
    pub(crate) async fn submit(&mut self, request: v1::SubmitSweepRequest) -> Result<v1::SubmitSweepResponse, Failure> {
        self.sweeps.submit_sweep(timed(request)).await.map(tonic::Response::into_inner).map_err(|status| self.refused(&status))
    }

    /// Lists sweeps, newest first.
    pub(crate) async fn sweeps(&mut self, limit: u32) -> Result<Vec<v1::SweepRow>, Failure> {
        let request = timed(v1::ListSweepsRequest { limit });
        self.sweeps.list_sweeps(request).await.map(|answer| answer.into_inner().sweeps).map_err(|status| self.refused(&status))
    }

    /// Shows a sweep.
    pub(crate) async fn sweep(&mut self, sweep: &str) -> Result<v1::SweepStatus, Failure> {
        let request = timed(v1::GetSweepRequest { sweep: sweep.to_owned() });
        self.sweeps.get_sweep(request).await.map(tonic::Response::into_inner).map_err(|status| self.refused(&status))
    }

    /// Follows a sweep until it is finished.
    pub(crate) async fn watch(&mut self, sweep: &str) -> Result<Streaming<v1::SweepStatus>, Failure> {
        // No time limit: the stream lasts as long as the sweep.
        let request = v1::GetSweepRequest { sweep: sweep.to_owned() };
        self.sweeps.watch_sweep(request).await.map(tonic::Response::into_inner).map_err(|status| self.refused(&status))
    }

    /// Lists jobs.
    pub(crate) async fn jobs(&mut self, request: v1::ListJobsRequest) -> Result<Vec<v1::JobRow>, Failure> {
        self.sweeps.list_jobs(timed(request)).await.map(|answer| answer.into_inner().jobs).map_err(|status| self.refused(&status))
    }

    /// Shows a job.
    pub(crate) async fn job(&mut self, job: &str) -> Result<v1::JobDetail, Failure> {
        let request = timed(v1::GetJobRequest { job: job.to_owned() });
        self.sweeps.get_job(request).await.map(tonic::Response::into_inner).map_err(|status| self.refused(&status))
    }

    /// The frontier of a sweep.
    pub(crate) async fn frontier(&mut self, sweep: &str, metric: v1::CostMetric) -> Result<v1::GetFrontierResponse, Failure> {
        let request = timed(v1::GetFrontierRequest { sweep: sweep.to_owned(), cost_metric: metric.into() });
        self.results.get_frontier(request).await.map(tonic::Response::into_inner).map_err(|status| self.refused(&status))
    }

    /// The exits of a sweep's finished jobs.
    pub(crate) async fn results(&mut self, sweep: &str) -> Result<v1::ListResultsResponse, Failure> {
        let request = timed(v1::ListResultsRequest { sweep: sweep.to_owned() });
        self.results.list_results(request).await.map(tonic::Response::into_inner).map_err(|status| self.refused(&status))
    }

    /// The patterns of a sweep over their seeds.
    pub(crate) async fn patterns(&mut self, sweep: &str) -> Result<v1::ListPatternsResponse, Failure> {
        let request = timed(v1::ListPatternsRequest { sweep: sweep.to_owned() });
        self.results.list_patterns(request).await.map(tonic::Response::into_inner).map_err(|status| self.refused(&status))
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
            Code::Unavailable | Code::DeadlineExceeded => {
                tracing::debug!(?status, "call failed");
                unreachable(&self.url)
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

fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}
