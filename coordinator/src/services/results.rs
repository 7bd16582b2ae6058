//! Results, read.

use offramp_domain::table::{self, View};
use offramp_proto::convert::DecodeError;
use offramp_proto::v1;
use offramp_proto::v1::result_service_server::ResultService;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::Context;
use super::fields::printable_text;
use super::select::{self, Rows, wrong_query};
use super::status::malformed;
use crate::frontiers;
use crate::store::{CostMetric, FrontierFilter, Grouping, Query, narrow};

/// Answers for [`ResultService`].
pub(crate) struct Results(pub(crate) Context);

#[tonic::async_trait]
impl ResultService for Results {
    async fn get_frontier(&self, request: Request<v1::GetFrontierRequest>) -> Result<Response<v1::GetFrontierResponse>, Status> {
        Ok(Response::new(self.0.frontier(request.into_inner()).await?))
    }

    async fn get_frontier_history(
        &self,
        request: Request<v1::GetFrontierHistoryRequest>,
    ) -> Result<Response<v1::GetFrontierHistoryResponse>, Status> {
        Ok(Response::new(self.0.frontier_history(request.into_inner()).await?))
    }

    async fn list_results(&self, request: Request<v1::ListResultsRequest>) -> Result<Response<v1::ListResultsResponse>, Status> {
        Ok(Response::new(self.0.results(request.into_inner()).await?))
    }

    async fn list_patterns(&self, request: Request<v1::ListPatternsRequest>) -> Result<Response<v1::ListPatternsResponse>, Status> {
        Ok(Response::new(self.0.patterns(request.into_inner()).await?))
    }

    type WatchFrontierStream = ReceiverStream<Result<v1::FrontierChange, Status>>;

    async fn watch_frontier(&self, request: Request<v1::WatchFrontierRequest>) -> Result<Response<Self::WatchFrontierStream>, Status> {
        Ok(Response::new(self.0.watch_frontier(request.into_inner()).await?))
    }

    type SelectStream = Rows;

    async fn select(&self, request: Request<v1::SelectRequest>) -> Result<Response<Self::SelectStream>, Status> {
        select::select(&self.0, request.into_inner()).await
    }

    async fn compare(&self, request: Request<v1::CompareRequest>) -> Result<Response<v1::CompareResponse>, Status> {
        Ok(Response::new(self.0.compare(request.get_ref()).await?))
    }

    async fn list_cells(&self, request: Request<v1::ListCellsRequest>) -> Result<Response<v1::ListCellsResponse>, Status> {
        Ok(Response::new(self.0.cells(request.get_ref()).await?))
    }

    async fn diff_sweeps(&self, request: Request<v1::DiffSweepsRequest>) -> Result<Response<v1::DiffSweepsResponse>, Status> {
        Ok(Response::new(self.0.store.reader().diff_sweeps(request.get_ref()).await?))
    }
}

/// Rows of one answer at most.
const ROWS_MOST: usize = 100_000;

/// How many rows an answer may have where `limit` are asked for.
fn rows_most(limit: u32) -> usize {
    if limit == 0 { ROWS_MOST } else { ROWS_MOST.min(limit as usize) }
}

/// Reads what a call takes of a view's rows.
fn query(view: &str, filter: &str, sort: &[String], offset: u64) -> Result<(&'static View, Query), Status> {
    let view = table::view(view).map_err(|error| Status::internal(error.to_string()))?;
    let none: [&str; 0] = [];
    let query = Query::parse(view, filter, sort, &none).map_err(|error| wrong_query(&error))?;
    Ok((view, Query { offset, ..query }))
}

/// The calls themselves: the same answers go out as JSON over HTTP.
impl Context {
    pub(crate) async fn frontier(&self, request: v1::GetFrontierRequest) -> Result<v1::GetFrontierResponse, Status> {
        let v1::GetFrontierRequest { sweep, cost_metric, grouping, r#where, sort, limit, offset } = request;
        let (view, query) = query("frontier", &r#where, &sort, offset)?;
        let (sweep, filter) = self.frontiers(&sweep, cost_metric, grouping).await?;
        let points = self.store.reader().frontier(filter).await?;
        let (points, more) = narrow(view, &query, points, rows_most(limit));
        Ok(v1::GetFrontierResponse { sweep, points, more })
    }

    pub(crate) async fn frontier_history(&self, request: v1::GetFrontierHistoryRequest) -> Result<v1::GetFrontierHistoryResponse, Status> {
        let v1::GetFrontierHistoryRequest { sweep, cost_metric, grouping, r#where, sort, limit, offset } = request;
        let (view, query) = query("frontier_history", &r#where, &sort, offset)?;
        let (sweep, filter) = self.frontiers(&sweep, cost_metric, grouping).await?;
        let points = self.store.reader().frontier_history(filter).await?;
        let (points, more) = narrow(view, &query, points, rows_most(limit));
        Ok(v1::GetFrontierHistoryResponse { sweep, points, more })
    }

    pub(crate) async fn results(&self, request: v1::ListResultsRequest) -> Result<v1::ListResultsResponse, Status> {
        let v1::ListResultsRequest { sweep, r#where, sort, limit, offset } = request;
        let (view, query) = query("exits", &r#where, &sort, offset)?;
        let sweep = self.sweep(&sweep).await?;
        let query = Query { sweep: Some(sweep.sweep), ..query };
        let (exits, more) = self.store.reader().page(view, query, rows_most(limit)).await?;
        Ok(v1::ListResultsResponse { sweep: Some(sweep), exits, more })
    }

    pub(crate) async fn patterns(&self, request: v1::ListPatternsRequest) -> Result<v1::ListPatternsResponse, Status> {
        let v1::ListPatternsRequest { sweep, r#where, sort, limit, offset } = request;
        let (view, query) = query("patterns", &r#where, &sort, offset)?;
        let sweep = self.sweep(&sweep).await?;
        let patterns = self.store.reader().patterns(sweep.sweep).await?;
        let (patterns, more) = narrow(view, &query, patterns, rows_most(limit));
        Ok(v1::ListPatternsResponse { sweep: Some(sweep), patterns, more })
    }

    pub(crate) async fn compare(&self, request: &v1::CompareRequest) -> Result<v1::CompareResponse, Status> {
        Ok(self.store.reader().compare(request).await?)
    }

    pub(crate) async fn cells(&self, request: &v1::ListCellsRequest) -> Result<v1::ListCellsResponse, Status> {
        Ok(self.store.reader().cells(request).await?)
    }

    pub(crate) async fn watch_frontier(&self, request: v1::WatchFrontierRequest) -> Result<FrontierChanges, Status> {
        let v1::WatchFrontierRequest { sweep, cost_metric, grouping, dataset } = request;
        printable_text("dataset", &dataset, DATASET_MAX_CHARS, "at most 200 printable characters").map_err(|error| malformed(&error))?;
        let (_, filter) = self.frontiers(&sweep, cost_metric, grouping).await?;
        // One message of room: a slow viewer gets fewer, larger changes instead of a backlog.
        let (sender, receiver) = mpsc::channel(1);
        let seen = self.frontiers.follow(filter, &self.store, &self.live, &self.shutdown)?;
        tokio::spawn(frontiers::pass_on(seen, dataset, sender, self.shutdown.clone()));
        Ok(ReceiverStream::new(receiver))
    }

    /// Which frontiers are asked about, and the sweep where it is one.
    async fn frontiers(&self, sweep: &str, metric: i32, by: i32) -> Result<(Option<v1::SweepRow>, FrontierFilter), Status> {
        let metric = cost_metric(metric).map_err(|error| malformed(&error))?;
        let grouping = grouping(by).map_err(|error| malformed(&error))?;
        let sweep = if sweep.is_empty() { None } else { Some(self.sweep(sweep).await?) };
        let filter = FrontierFilter { sweep: sweep.as_ref().map(|sweep| sweep.sweep), grouping, metric };
        Ok((sweep, filter))
    }
}

/// A frontier's changes on their way out.
pub(crate) type FrontierChanges = ReceiverStream<Result<v1::FrontierChange, Status>>;

/// Longest name of a dataset, characters.
const DATASET_MAX_CHARS: usize = 200;

fn grouping(grouping: i32) -> Result<Grouping, DecodeError> {
    match v1::Grouping::try_from(grouping) {
        Ok(v1::Grouping::Unspecified | v1::Grouping::Dataset) => Ok(Grouping::Dataset),
        Ok(v1::Grouping::Backbone) => Ok(Grouping::Backbone),
        Ok(v1::Grouping::Pattern) => Ok(Grouping::Pattern),
        Err(_) => Err(DecodeError::Range { field: "grouping", value: grouping.to_string(), expected: "a known grouping" }),
    }
}

fn cost_metric(metric: i32) -> Result<CostMetric, DecodeError> {
    match v1::CostMetric::try_from(metric) {
        Ok(v1::CostMetric::MacsCascade) => Ok(CostMetric::MacsCascade),
        Ok(v1::CostMetric::MacsSelected) => Ok(CostMetric::MacsSelected),
        Ok(v1::CostMetric::Params) => Ok(CostMetric::Params),
        Ok(v1::CostMetric::LatencyUs) => Ok(CostMetric::LatencyUs),
        Ok(v1::CostMetric::Unspecified) => Err(DecodeError::Missing("cost_metric")),
        Err(_) => Err(DecodeError::Range { field: "cost_metric", value: metric.to_string(), expected: "a known cost metric" }),
    }
}
