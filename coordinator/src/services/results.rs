//! Results, read.

use offramp_proto::convert::DecodeError;
use offramp_proto::v1;
use offramp_proto::v1::result_service_server::ResultService;
use tonic::{Request, Response, Status};

use super::Context;
use super::status::malformed;
use crate::store::{CostMetric, FrontierFilter, Grouping};

/// Answers for [`ResultService`].
pub(crate) struct Results(pub(crate) Context);

#[tonic::async_trait]
impl ResultService for Results {
    async fn get_frontier(&self, request: Request<v1::GetFrontierRequest>) -> Result<Response<v1::GetFrontierResponse>, Status> {
        let request = request.into_inner();
        let metric = cost_metric(request.cost_metric).map_err(|error| malformed(&error))?;
        let reader = self.0.store.reader();
        let grouping = grouping(request.grouping).map_err(|error| malformed(&error))?;
        let sweep = if request.sweep.is_empty() { None } else { Some(self.0.sweep(&request.sweep).await?) };
        let points = reader.frontier(FrontierFilter { sweep: sweep.as_ref().map(|sweep| sweep.sweep), grouping, metric }).await?;
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
        _: Request<v1::GetFrontierHistoryRequest>,
    ) -> Result<Response<v1::GetFrontierHistoryResponse>, Status> {
        Err(Status::unimplemented("the frontier's history"))
    }

    type WatchFrontierStream = std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<v1::FrontierChange, Status>> + Send>>;

    async fn watch_frontier(&self, _: Request<v1::WatchFrontierRequest>) -> Result<Response<Self::WatchFrontierStream>, Status> {
        Err(Status::unimplemented("watching a frontier"))
    }

    type SelectStream = std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<v1::RowBatch, Status>> + Send>>;

    async fn select(&self, _: Request<v1::SelectRequest>) -> Result<Response<Self::SelectStream>, Status> {
        Err(Status::unimplemented("selecting rows"))
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
