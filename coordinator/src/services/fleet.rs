//! Workers, as their operator sees them.

use offramp_proto::v1;
use offramp_proto::v1::fleet_service_server::FleetService;
use tonic::{Request, Response, Status};
use tracing::info;

use super::Context;
use super::control::requester;
use super::fields::{quoted, selector};
use super::sweeps::bounded;

const WORKERS_DEFAULT: u32 = 1_000;
const WORKERS_MOST: u32 = 10_000;

/// Answers for [`FleetService`].
pub(crate) struct Fleet(pub(crate) Context);

#[tonic::async_trait]
impl FleetService for Fleet {
    async fn list_workers(&self, request: Request<v1::ListWorkersRequest>) -> Result<Response<v1::ListWorkersResponse>, Status> {
        let v1::ListWorkersRequest { ended, limit } = request.into_inner();
        let workers = self.0.store.reader().workers(ended, bounded(limit, WORKERS_DEFAULT, WORKERS_MOST)).await?;
        Ok(Response::new(v1::ListWorkersResponse { workers }))
    }

    async fn drain_workers(&self, request: Request<v1::DrainWorkersRequest>) -> Result<Response<v1::DrainWorkersResponse>, Status> {
        let v1::DrainWorkersRequest { worker, give_back, by } = request.into_inner();
        let by = requester(by, String::new())?;
        selector("worker", &worker)?;
        let n_drained = self.0.store.drain(&worker, give_back).await?;
        let workers = self.0.store.reader().workers(false, WORKERS_MOST).await?;
        let workers: Vec<v1::WorkerRow> = workers.into_iter().filter(|row| row.worker == worker).collect();
        if workers.is_empty() {
            let hint = "hint: `offramp workers list` shows the names";
            return Err(Status::not_found(format!("no worker that is connected is called {}\n{hint}", quoted(&worker))));
        }
        info!(worker, n_drained, give_back, by = by.who, "worker drained");
        // A waiting claim ends at once instead of after its time.
        self.0.live.jobs_queued();
        Ok(Response::new(v1::DrainWorkersResponse { workers }))
    }
}
