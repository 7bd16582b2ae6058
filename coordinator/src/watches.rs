//! Follows sweeps for all that look on: however many they are, the database is asked once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use offramp_proto::v1;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::live::Live;
use crate::store::Store;

/// Least time between two looks at a sweep: as often as an eye can follow a counter.
const PAUSE: Duration = Duration::from_millis(200);
/// Looking at a large sweep takes its time; at most one part in this many is spent on it.
const SHARE: u32 = 10;
/// A followed sweep is looked at this often even when nothing was announced: another coordinator may have changed it.
const LOOK: Duration = Duration::from_secs(2);

/// What was seen last; nothing before the first look.
type Seen = Option<Result<v1::SweepStatus, Status>>;

/// The sweeps that are followed, each by one task.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    sweeps: Mutex<HashMap<i64, watch::Sender<Seen>>>,
}

impl Watches {
    /// Follows a sweep. The receiver's value is its status, replaced after every change until the sweep is over.
    pub(crate) fn follow(
        self: &Arc<Self>,
        sweep: i64,
        store: &Store,
        live: &Arc<Live>,
        shutdown: &CancellationToken,
    ) -> watch::Receiver<Seen> {
        let mut sweeps = self.sweeps();
        if let Some(sender) = sweeps.get(&sweep) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(None);
        sweeps.insert(sweep, sender.clone());
        drop(sweeps);
        let follower = Follower { watches: Arc::clone(self), sweep, store: store.clone(), live: Arc::clone(live), sender };
        tokio::spawn(shutdown.clone().run_until_cancelled_owned(follower.run()));
        receiver
    }

    fn sweeps(&self) -> MutexGuard<'_, HashMap<i64, watch::Sender<Seen>>> {
        // Each critical section leaves the map whole.
        self.sweeps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nothing more will happen in a sweep.
pub(crate) fn is_over(status: &v1::SweepStatus) -> bool {
    status.sweep.as_ref().is_some_and(|row| match row.state.as_str() {
        "finished" => true,
        // A cancelled sweep's jobs may go on for the sake of others, and the last leases may not have been given up yet.
        "cancelled" => row.n_leased == 0,
        _ => false,
    })
}

struct Follower {
    watches: Arc<Watches>,
    sweep: i64,
    store: Store,
    live: Arc<Live>,
    sender: watch::Sender<Seen>,
}

impl Follower {
    async fn run(self) {
        let mut changes = self.live.watch_changes();
        loop {
            changes.mark_unchanged();
            let begun = Instant::now();
            let status = self.look().await;
            let pause = PAUSE.max(begun.elapsed() * SHARE);
            let over = status.as_ref().map_or(true, is_over);
            self.sender.send_if_modified(|seen| {
                let same = matches!((&*seen, &status), (Some(Ok(before)), Ok(now)) if before == now);
                if !same {
                    *seen = Some(status);
                }
                !same
            });
            if self.ends(over) {
                return;
            }
            tokio::time::sleep(pause).await;
            // A timeout is as good as a change: it is time to look.
            let _ = tokio::time::timeout(LOOK, changes.changed()).await;
            if self.ends(false) {
                return;
            }
        }
    }

    /// Whether there is no more to do, because the sweep is over or nobody looks on any more. Whoever comes then follows anew: nobody joins while
    /// the map is locked.
    fn ends(&self, over: bool) -> bool {
        let mut sweeps = self.watches.sweeps();
        let ends = over || self.sender.receiver_count() == 0;
        if ends {
            sweeps.remove(&self.sweep);
        }
        ends
    }

    async fn look(&self) -> Result<v1::SweepStatus, Status> {
        let activity = self.store.reader().sweep_activity(self.sweep).await?;
        Ok(v1::SweepStatus { sweep: Some(activity.sweep), running: self.live.complete(activity.running) })
    }
}
