//! What is worth showing but not storing, and who is waiting for news.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use offramp_proto::v1;
use tokio::sync::watch;

use crate::store::AttemptRef;

/// Progress of running attempts, and wake-ups. Nothing depends on it: lost, it is complete again after the next heartbeats, and whoever waits
/// also looks for himself from time to time.
#[derive(Debug, Default)]
pub(crate) struct Live {
    queued: watch::Sender<u64>,
    changed: watch::Sender<u64>,
    /// A heartbeat arrived and could not be recorded, since this was last asked for.
    heartbeat_failed: AtomicBool,
    /// By job key: only the newest attempt at a job is shown.
    running: Mutex<HashMap<String, Running>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Running {
    attempt: u32,
    slot: u32,
    progress: Option<v1::Progress>,
}

impl Live {
    /// Jobs may have become claimable.
    pub(crate) fn jobs_queued(&self) {
        self.queued.send_modify(|count| *count = count.wrapping_add(1));
        self.jobs_changed();
    }

    /// Something that a sweep's status shows has changed.
    pub(crate) fn jobs_changed(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// A heartbeat arrived and could not be recorded.
    pub(crate) fn heartbeat_failed(&self) {
        self.heartbeat_failed.store(true, Ordering::Relaxed);
    }

    /// Whether a heartbeat could not be recorded, and forgets it.
    pub(crate) fn take_heartbeat_failed(&self) -> bool {
        self.heartbeat_failed.swap(false, Ordering::Relaxed)
    }

    /// Wakes when jobs may have become claimable since the last look.
    pub(crate) fn watch_queue(&self) -> watch::Receiver<u64> {
        self.queued.subscribe()
    }

    /// Wakes when a sweep's status may have changed since the last look.
    pub(crate) fn watch_changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Notes where an attempt stands. A sign of life without progress leaves what is known: epochs take longer than heartbeats.
    pub(crate) fn record(&self, attempt: &AttemptRef, slot: u32, progress: Option<v1::Progress>) {
        let mut running = self.running();
        let before = running.get(attempt.key.as_str()).filter(|before| before.attempt == attempt.attempt);
        let progress = progress.or_else(|| before.and_then(|before| before.progress.clone()));
        let now = Running { attempt: attempt.attempt, slot, progress };
        if before == Some(&now) {
            return;
        }
        running.insert(attempt.key.as_str().to_owned(), now);
        drop(running);
        self.jobs_changed();
    }

    /// Forgets attempts that are over.
    pub(crate) fn forget<'a>(&self, attempts: impl IntoIterator<Item = &'a AttemptRef>) {
        let mut running = self.running();
        for over in attempts {
            if running.get(over.key.as_str()).is_some_and(|running| running.attempt == over.attempt) {
                running.remove(over.key.as_str());
            }
        }
    }

    /// Adds slots and progress to stored rows.
    pub(crate) fn complete(&self, rows: Vec<(String, v1::RunningJob)>) -> Vec<v1::RunningJob> {
        let running = self.running();
        let complete = |(key, row): (String, v1::RunningJob)| match running.get(&key) {
            Some(live) if live.attempt == row.attempt => v1::RunningJob { slot: live.slot, progress: live.progress.clone(), ..row },
            Some(_) | None => row,
        };
        rows.into_iter().map(complete).collect()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        // Each critical section leaves the map whole, so a panic elsewhere while it was locked says nothing about it.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use offramp_domain::job::JobKey;

    use super::*;

    fn attempt(number: u32) -> AttemptRef {
        AttemptRef { key: JobKey::parse("0123456789abcdef0123456789abcdef").unwrap(), attempt: number }
    }

    fn epoch_shown(live: &Live, number: u32) -> Option<u32> {
        let row = v1::RunningJob { attempt: number, ..v1::RunningJob::default() };
        let shown = live.complete(vec![(attempt(number).key.as_str().to_owned(), row)]);
        shown[0].progress.as_ref().map(|progress| progress.epoch)
    }

    #[test]
    fn a_heartbeat_between_two_epochs_keeps_the_last_one() {
        let live = Live::default();
        live.record(&attempt(1), 0, Some(v1::Progress { epoch: 3, ..v1::Progress::default() }));
        let mut changes = live.watch_changes();
        changes.mark_unchanged();
        live.record(&attempt(1), 0, None);
        assert_eq!(epoch_shown(&live, 1), Some(3));
        assert!(!changes.has_changed().unwrap(), "nothing new was told");
    }

    #[test]
    fn a_new_attempt_starts_without_progress() {
        let live = Live::default();
        live.record(&attempt(1), 0, Some(v1::Progress { epoch: 3, ..v1::Progress::default() }));
        live.record(&attempt(2), 1, None);
        assert_eq!(epoch_shown(&live, 2), None);
    }
}
