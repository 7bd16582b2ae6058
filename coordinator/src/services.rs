//! gRPC handlers: decode, call, encode. One file a service, and one table from errors to status codes.

mod control;
mod fields;
mod fleet;
mod results;
mod select;
mod status;
mod sweeps;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(crate) use self::fleet::Fleet;
pub(crate) use self::results::Results;
pub(crate) use self::select::{SELECTS_MOST, SelectedRows};
pub(crate) use self::status::ending;
pub(crate) use self::sweeps::Sweeps;
pub(crate) use self::workers::{CLAIM_WAIT_MOST_MS, Workers};
use crate::clock::Clock;
use crate::dispatch::Dispatch;
use crate::frontiers::FrontierWatches;
use crate::live::Live;
use crate::store::Store;
use crate::watches::Watches;

/// What every handler works with.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) live: Arc<Live>,
    pub(crate) dispatch: Dispatch,
    pub(crate) watches: Arc<Watches>,
    pub(crate) frontiers: Arc<FrontierWatches>,
    /// A permit for each stream of rows that may be open.
    pub(crate) selects: Arc<Semaphore>,
    pub(crate) lease: Duration,
    pub(crate) heartbeat: Duration,
    /// Waiting handlers end with it.
    pub(crate) shutdown: CancellationToken,
}
