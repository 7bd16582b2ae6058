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
    results: watch::Sender<u64>,
    /// A heartbeat arrived and could not be recorded, since this was last asked for.
    heartbeat_failed: AtomicBool,
    /// By job key: only the newest attempt at a job is shown.
    running: Mutex<Attempts>,
}

#[derive(Debug, Default)]
struct Attempts {
    by_key: HashMap<String, Running>,
    /// When those were last forgotten that nobody speaks of any more.
    swept_us: i64,
}

/// How long an attempt is shown that is not heard of. Where several coordinators share a database, it may end with another one.
const FORGOTTEN_AFTER_US: i64 = 2 * 3_600 * 1_000_000;
/// How often such attempts are looked for.
const SWEEP_EVERY_US: i64 = 60 * 1_000_000;

#[derive(Debug, Clone, PartialEq)]
struct Running {
    attempt: u32,
    slot: u32,
    progress: Option<v1::Progress>,
    heard_us: i64,
}

impl Live {
    /// Jobs may have become claimable.
    pub(crate) fn jobs_queued(&self) {
        self.queued.send_modify(|count| *count = count.wrapping_add(1));
        // A sweep that is submitted may bring results along, and a job that is tried again loses its own.
        self.results_changed();
        self.jobs_changed();
    }

    /// Results were accepted, or were removed.
    pub(crate) fn results_changed(&self) {
        self.results.send_modify(|count| *count = count.wrapping_add(1));
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

    /// Wakes when results may have come or gone since the last look.
    pub(crate) fn watch_results(&self) -> watch::Receiver<u64> {
        self.results.subscribe()
    }

    /// Notes where an attempt stands. A sign of life without progress leaves what is known: epochs take longer than heartbeats.
    pub(crate) fn record(&self, attempt: &AttemptRef, slot: u32, progress: Option<v1::Progress>, now_us: i64) {
        let mut running = self.running();
        if now_us - running.swept_us > SWEEP_EVERY_US {
            running.swept_us = now_us;
            running.by_key.retain(|_, attempt| now_us - attempt.heard_us < FORGOTTEN_AFTER_US);
        }
        let known = running.by_key.get_mut(attempt.key.as_str()).filter(|known| known.attempt == attempt.attempt);
        let Some(known) = known else {
            let new = Running { attempt: attempt.attempt, slot, progress, heard_us: now_us };
            running.by_key.insert(attempt.key.as_str().to_owned(), new);
            drop(running);
            return self.jobs_changed();
        };
        known.heard_us = now_us;
        let is_news = known.slot != slot || progress.is_some() && known.progress != progress;
        known.slot = slot;
        known.progress = progress.or_else(|| known.progress.take());
        drop(running);
        if is_news {
            self.jobs_changed();
        }
    }

    /// Forgets attempts that are over.
    pub(crate) fn forget<'a>(&self, attempts: impl IntoIterator<Item = &'a AttemptRef>) {
        let mut running = self.running();
        for over in attempts {
            if running.by_key.get(over.key.as_str()).is_some_and(|running| running.attempt == over.attempt) {
                running.by_key.remove(over.key.as_str());
            }
        }
    }

    /// Adds slots and progress to stored rows.
    pub(crate) fn complete(&self, rows: Vec<(String, v1::RunningJob)>) -> Vec<v1::RunningJob> {
        let running = self.running();
        let complete = |(key, row): (String, v1::RunningJob)| match running.by_key.get(&key) {
            Some(live) if live.attempt == row.attempt => v1::RunningJob { slot: live.slot, progress: live.progress.clone(), ..row },
            Some(_) | None => row,
        };
        rows.into_iter().map(complete).collect()
    }

    fn running(&self) -> MutexGuard<'_, Attempts> {
        // Each critical section leaves the map whole, so a panic elsewhere while it was locked says nothing about it.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use offramp_domain::job::JobKey;

    use super::*;

    const NOW_US: i64 = 1_700_000_000_000_000;

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
        live.record(&attempt(1), 0, Some(v1::Progress { epoch: 3, ..v1::Progress::default() }), NOW_US);
        let mut changes = live.watch_changes();
        changes.mark_unchanged();
        live.record(&attempt(1), 0, None, NOW_US);
        assert_eq!(epoch_shown(&live, 1), Some(3));
        assert!(!changes.has_changed().unwrap(), "nothing new was told");
    }

    #[test]
    fn a_new_attempt_starts_without_progress() {
        let live = Live::default();
        live.record(&attempt(1), 0, Some(v1::Progress { epoch: 3, ..v1::Progress::default() }), NOW_US);
        live.record(&attempt(2), 1, None, NOW_US);
        assert_eq!(epoch_shown(&live, 2), None);
    }

    #[test]
    fn an_attempt_that_ended_elsewhere_is_forgotten_in_time() {
        let live = Live::default();
        let progress = || Some(v1::Progress { epoch: 3, ..v1::Progress::default() });
        let other = AttemptRef { key: JobKey::parse("fedcba9876543210fedcba9876543210").unwrap(), attempt: 1 };
        live.record(&attempt(1), 0, progress(), NOW_US);
        live.record(&other, 0, progress(), NOW_US + FORGOTTEN_AFTER_US - 1);
        assert_eq!(epoch_shown(&live, 1), Some(3));
        live.record(&other, 0, None, NOW_US + FORGOTTEN_AFTER_US + SWEEP_EVERY_US);
        assert_eq!(epoch_shown(&live, 1), None);
        assert_eq!(live.running().by_key.len(), 1);
    }
}
