//! Results, read.

use offramp_proto::convert::DecodeError;
use offramp_proto::v1;
use offramp_proto::v1::result_service_server::ResultService;
use tonic::{Request, Response, Status};

use super::Context;
use super::select::{self, Rows};
use super::status::malformed;
use crate::store::{CostMetric, FrontierFilter, Grouping};

/// Answers for [`ResultService`].
pub(crate) struct Results(pub(crate) Context);

#[tonic::async_trait]
impl ResultService for Results {
    async fn get_frontier(&self, request: Request<v1::GetFrontierRequest>) -> Result<Response<v1::GetFrontierResponse>, Status> {
        let v1::GetFrontierRequest { sweep, cost_metric, grouping, .. } = request.into_inner();
        let (sweep, filter) = self.frontiers(&sweep, cost_metric, grouping).await?;
        let points = self.0.store.reader().frontier(filter).await?;
        Ok(Response::new(v1::GetFrontierResponse { sweep, points, more: false }))
    }

    async fn list_results(&self, request: Request<v1::ListResultsRequest>) -> Result<Response<v1::ListResultsResponse>, Status> {
        let reader = self.0.store.reader();
        let sweep = self.0.sweep(&request.into_inner().sweep).await?;
        let exits = reader.exits(sweep.sweep).await?;
        Ok(Response::new(v1::ListResultsResponse { sweep: Some(sweep), exits, more: false }))
    }

    async fn list_patterns(&self, request: Request<v1::ListPatternsRequest>) -> Result<Response<v1::ListPatternsResponse>, Status> {
        let reader = self.0.store.reader();
        let sweep = self.0.sweep(&request.into_inner().sweep).await?;
        let patterns = reader.patterns(sweep.sweep).await?;
        Ok(Response::new(v1::ListPatternsResponse { sweep: Some(sweep), patterns, more: false }))
    }

    async fn get_frontier_history(
        &self,
        request: Request<v1::GetFrontierHistoryRequest>,
    ) -> Result<Response<v1::GetFrontierHistoryResponse>, Status> {
        let v1::GetFrontierHistoryRequest { sweep, cost_metric, grouping, .. } = request.into_inner();
        let (sweep, filter) = self.frontiers(&sweep, cost_metric, grouping).await?;
        let points = self.0.store.reader().frontier_history(filter).await?;
        Ok(Response::new(v1::GetFrontierHistoryResponse { sweep, points, more: false }))
    }

    type WatchFrontierStream = std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<v1::FrontierChange, Status>> + Send>>;

    async fn watch_frontier(&self, _: Request<v1::WatchFrontierRequest>) -> Result<Response<Self::WatchFrontierStream>, Status> {
        Err(Status::unimplemented("watching a frontier"))
    }

    type SelectStream = Rows;

    async fn select(&self, request: Request<v1::SelectRequest>) -> Result<Response<Self::SelectStream>, Status> {
        select::select(&self.0, request.into_inner()).await
    }

    async fn compare(&self, request: Request<v1::CompareRequest>) -> Result<Response<v1::CompareResponse>, Status> {
        Ok(Response::new(self.0.store.reader().compare(request.get_ref()).await?))
    }

    async fn list_cells(&self, request: Request<v1::ListCellsRequest>) -> Result<Response<v1::ListCellsResponse>, Status> {
        Ok(Response::new(self.0.store.reader().cells(request.get_ref()).await?))
    }

    async fn diff_sweeps(&self, request: Request<v1::DiffSweepsRequest>) -> Result<Response<v1::DiffSweepsResponse>, Status> {
        Ok(Response::new(self.0.store.reader().diff_sweeps(request.get_ref()).await?))
    }
}

impl Results {
    /// Which frontiers are asked about, and the sweep where it is one.
    async fn frontiers(&self, sweep: &str, metric: i32, by: i32) -> Result<(Option<v1::SweepRow>, FrontierFilter), Status> {
        let metric = cost_metric(metric).map_err(|error| malformed(&error))?;
        let grouping = grouping(by).map_err(|error| malformed(&error))?;
        let sweep = if sweep.is_empty() { None } else { Some(self.0.sweep(sweep).await?) };
        let filter = FrontierFilter { sweep: sweep.as_ref().map(|sweep| sweep.sweep), grouping, metric };
        Ok((sweep, filter))
    }
}

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
