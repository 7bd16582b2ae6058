//! Takes back, once a second, what was lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::live::Live;
use crate::store::{AttemptRef, DatabaseError, Store};

/// Well below the shortest lease, so that a lost job waits for its lease and hardly longer.
const TICK: Duration = Duration::from_secs(1);

/// Ticks until `shutdown`.
pub(crate) async fn run(store: Store, clock: Clock, live: Arc<Live>, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        let ticked = tick(&store, clock.now_us(), &live).await;
        // Said once, not every second of an outage.
        if let (Err(error), false) = (&ticked, failing) {
            warn!(error = crate::chain(error), "lost leases cannot be taken back");
        }
        failing = ticked.is_err();
    }
}

async fn tick(store: &Store, now_us: i64, live: &Live) -> Result<(), DatabaseError> {
    let lost = store.expire(now_us).await?;
    announce(&lost, live);
    Ok(())
}

/// Tells the log and whoever waits that these attempts are over and their jobs queued again.
pub(crate) fn announce(lost: &[AttemptRef], live: &Live) {
    if lost.is_empty() {
        return;
    }
    for AttemptRef { key, attempt } in lost {
        info!(job = key.id(), attempt, "lease lost, job queued again");
    }
    live.forget(lost);
    live.jobs_queued();
}
