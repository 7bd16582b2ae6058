//! Follows frontiers for all that look on: however many they are, the database is asked once, and only after something changed.

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
use crate::store::{FrontierFilter, Store};

#[cfg(test)]
mod tests;

/// Least time between two looks at a frontier.
const PAUSE: Duration = Duration::from_millis(200);
/// Looking at a large frontier takes its time; at most one part in this many is spent on it.
const SHARE: u32 = 10;
/// A followed frontier is looked at this often even when nothing was announced: another coordinator may have changed it.
const LOOK: Duration = Duration::from_secs(5);
/// Frontiers that are followed at once. Each costs a look at the database after results come in, and the memory of its points.
const FOLLOWED_MOST: usize = 64;

/// What was seen last; nothing before the first look.
type Seen = Option<Result<Arc<Frontiers>, Status>>;

/// The frontiers that one question is about.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Frontiers {
    /// Their points, cheapest first within each.
    pub(crate) points: Vec<v1::FrontierRow>,
    /// One for each of them.
    pub(crate) groups: Vec<v1::FrontierGroup>,
}

/// The frontiers that are followed, each by one task.
#[derive(Debug, Default)]
pub(crate) struct FrontierWatches {
    followed: Mutex<HashMap<FrontierFilter, watch::Sender<Seen>>>,
    /// How often the database was asked.
    #[cfg(test)]
    n_looks: std::sync::atomic::AtomicUsize,
}

impl FrontierWatches {
    /// Follows frontiers. The receiver's value is what they are, replaced after every change.
    ///
    /// # Errors
    /// When as many are followed as can be.
    pub(crate) fn follow(
        self: &Arc<Self>,
        which: FrontierFilter,
        store: &Store,
        live: &Arc<Live>,
        shutdown: &CancellationToken,
    ) -> Result<watch::Receiver<Seen>, Status> {
        let mut followed = self.followed();
        if let Some(sender) = followed.get(&which) {
            return Ok(sender.subscribe());
        }
        if followed.len() >= FOLLOWED_MOST {
            let message = format!("{FOLLOWED_MOST} frontiers are being watched already\nhint: try again when one of them is no longer");
            return Err(Status::resource_exhausted(message));
        }
        let (sender, receiver) = watch::channel(None);
        followed.insert(which, sender.clone());
        drop(followed);
        let follower =
            Follower { watches: Arc::clone(self), which, store: store.clone(), live: Arc::clone(live), sender, has_ended: false };
        tokio::spawn(shutdown.clone().run_until_cancelled_owned(follower.run()));
        Ok(receiver)
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<FrontierFilter, watch::Sender<Seen>>> {
        // Each critical section leaves the map whole.
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Follower {
    watches: Arc<FrontierWatches>,
    which: FrontierFilter,
    store: Store,
    live: Arc<Live>,
    sender: watch::Sender<Seen>,
    has_ended: bool,
}

/// However it ends, whoever comes then follows anew.
impl Drop for Follower {
    fn drop(&mut self) {
        if !self.has_ended {
            self.watches.followed().remove(&self.which);
        }
    }
}

impl Follower {
    async fn run(mut self) {
        let mut changes = self.live.watch_results();
        loop {
            changes.mark_unchanged();
            let begun = Instant::now();
            let frontiers = self.look().await;
            let pause = PAUSE.max(begun.elapsed() * SHARE);
            let has_failed = frontiers.is_err();
            self.sender.send_if_modified(|seen| {
                let same = matches!((&*seen, &frontiers), (Some(Ok(before)), Ok(now)) if **before == *now);
                if !same {
                    *seen = Some(frontiers.map(Arc::new));
                }
                !same
            });
            if self.ends(has_failed) {
                return;
            }
            tokio::time::sleep(pause).await;
            // A timeout is as good as a change: it is time to look. Nobody looking on any more is the end.
            tokio::select! {
                _ = tokio::time::timeout(LOOK, changes.changed()) => {}
                () = self.sender.closed() => {}
            }
            if self.ends(false) {
                return;
            }
        }
    }

    /// Whether there is no more to do, because of a failure or because nobody looks on any more. Whoever comes then follows anew: nobody joins while
    /// the map is locked.
    fn ends(&mut self, has_failed: bool) -> bool {
        let mut followed = self.watches.followed();
        if has_failed || self.sender.receiver_count() == 0 {
            followed.remove(&self.which);
            self.has_ended = true;
        }
        self.has_ended
    }

    async fn look(&self) -> Result<Frontiers, Status> {
        #[cfg(test)]
        self.watches.n_looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let (points, groups) = self.store.reader().frontiers(self.which).await?;
        Ok(Frontiers { points, groups })
    }
}

/// Tells a viewer what frontiers are, and then how they change, until it leaves. What a viewer is told is the difference to what it was told before, so
/// that a slow one gets one large change instead of a backlog.
pub(crate) async fn pass_on(
    mut seen: watch::Receiver<Seen>,
    dataset: String,
    sender: mpsc::Sender<Result<v1::FrontierChange, Status>>,
    shutdown: CancellationToken,
) {
    let passing_on = async {
        let mut told: Option<Arc<Frontiers>> = None;
        loop {
            // There is room for a message before the newest is looked at.
            let Ok(place) = sender.reserve().await else { return true };
            let now = seen.borrow_and_update().clone();
            match now {
                None => {}
                Some(Err(status)) => {
                    place.send(Err(status));
                    return true;
                }
                Some(Ok(now)) => {
                    let change = change(told.as_deref(), &now, &dataset);
                    if told.is_none() || change != v1::FrontierChange::default() {
                        place.send(Ok(change));
                    }
                    told = Some(now);
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
    // The end of the coordinator, or of what follows the frontiers, is not that of the sweep.
    if shutdown.run_until_cancelled(passing_on).await != Some(true) {
        let _ = sender.send(Err(ending())).await;
    }
}

/// What makes a point the same point.
fn key(point: &v1::FrontierRow) -> (&str, &str, u64, u64) {
    (&point.job, &point.policy, point.setting.to_bits(), point.cost.to_bits())
}

/// What is different from `before` where that was told, and everything where nothing was.
fn change(before: Option<&Frontiers>, now: &Frontiers, dataset: &str) -> v1::FrontierChange {
    let nothing = Frontiers::default();
    let (whole, before) = (before.is_none(), before.unwrap_or(&nothing));
    let concerns = |name: &str| dataset.is_empty() || name == dataset;
    let known: HashMap<_, _> = before.points.iter().map(|point| (key(point), point)).collect();
    let standing: std::collections::HashSet<_> = now.points.iter().map(key).collect();
    let entered = now.points.iter().filter(|point| concerns(&point.dataset) && known.get(&key(point)) != Some(point));
    let left = before.points.iter().filter(|point| concerns(&point.dataset) && !standing.contains(&key(point)));
    let groups = now.groups.iter().filter(|group| concerns(&group.dataset) && !before.groups.contains(group));
    // A group that lost its last point is no longer among those that are read.
    let is_gone = |group: &&v1::FrontierGroup| concerns(&group.dataset) && !now.groups.iter().any(|other| is_same_group(group, other));
    let empty = before.groups.iter().filter(is_gone).map(|group| v1::FrontierGroup { n_points: 0, hypervolume: 0.0, ..group.clone() });
    v1::FrontierChange {
        whole,
        entered: entered.cloned().collect(),
        left: left.cloned().collect(),
        groups: groups.cloned().chain(empty).collect(),
    }
}

fn is_same_group(a: &v1::FrontierGroup, b: &v1::FrontierGroup) -> bool {
    (&a.dataset, &a.backbone, &a.pattern, &a.trainer) == (&b.dataset, &b.backbone, &b.pattern, &b.trainer)
}
