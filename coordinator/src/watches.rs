//! Follows sweeps for all that look on: however many they are, the database is asked once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use offramp_proto::v1;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::live::Live;
use crate::services::ending;
use crate::store::Store;

#[cfg(test)]
mod tests;

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
    /// How often the database was asked.
    #[cfg(test)]
    n_looks: std::sync::atomic::AtomicUsize,
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
        let follower =
            Follower { watches: Arc::clone(self), sweep, store: store.clone(), live: Arc::clone(live), sender, has_ended: false };
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

/// Passes a followed sweep's status on, until it is over or nobody listens. A slow listener gets fewer, newer messages instead of a backlog.
pub(crate) async fn pass_on(
    mut seen: watch::Receiver<Seen>,
    sender: mpsc::Sender<Result<v1::SweepStatus, Status>>,
    shutdown: CancellationToken,
) {
    let passing_on = async {
        loop {
            let status = seen.borrow_and_update().clone();
            if let Some(status) = status {
                let over = status.as_ref().map_or(true, is_over);
                // Whoever hung up does not need to be told.
                if sender.send(status).await.is_err() || over {
                    return true;
                }
            }
            tokio::select! {
                changed = seen.changed() => if changed.is_err() {
                    return false;
                },
                () = sender.closed() => return true,
            }
        }
    };
    // The end of the coordinator, or of what follows the sweep, is not that of the sweep.
    if shutdown.run_until_cancelled(passing_on).await != Some(true) {
        let _ = sender.send(Err(ending())).await;
    }
}

struct Follower {
    watches: Arc<Watches>,
    sweep: i64,
    store: Store,
    live: Arc<Live>,
    sender: watch::Sender<Seen>,
    has_ended: bool,
}

/// However it ends, whoever comes then follows anew.
impl Drop for Follower {
    fn drop(&mut self) {
        if !self.has_ended {
            self.watches.sweeps().remove(&self.sweep);
        }
    }
}

impl Follower {
    async fn run(mut self) {
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
    fn ends(&mut self, over: bool) -> bool {
        let mut sweeps = self.watches.sweeps();
        if over || self.sender.receiver_count() == 0 {
            sweeps.remove(&self.sweep);
            self.has_ended = true;
        }
        self.has_ended
    }

    async fn look(&self) -> Result<v1::SweepStatus, Status> {
        #[cfg(test)]
        self.watches.n_looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let activity = self.store.reader().sweep_activity(self.sweep).await?;
        Ok(v1::SweepStatus { sweep: Some(activity.sweep), running: self.live.complete(activity.running) })
    }
}
