//! The attempts that this worker holds, with the progress that the coordinator has not acknowledged yet.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use offramp_domain::job::JobKey;
use offramp_domain::outcome::Progress;
use offramp_proto::v1::{AttemptId, AttemptProgress};
use tokio_util::sync::CancellationToken;

use crate::trainer::Attempt;

/// Entries of one heartbeat, as many as the protocol allows.
const MAX_ENTRIES: usize = 1_024;

/// Epochs kept of one attempt while nobody acknowledges them; beyond it the oldest are dropped.
const MAX_PENDING: usize = 100_000;

/// Held attempts, shared between slots and heartbeats.
#[derive(Debug, Default)]
pub(crate) struct Held {
    attempts: Mutex<BTreeMap<(JobKey, u32), HeldAttempt>>,
}

#[derive(Debug)]
struct HeldAttempt {
    slot: u32,
    /// Finished epochs that no heartbeat has delivered, oldest first, each with its place in the order of telling.
    pending: VecDeque<(u64, Progress)>,
    /// Epochs told so far.
    n_told: u64,
    /// Ends the run when cancelled.
    stop: CancellationToken,
    /// How the lease was lost, where the coordinator has said so.
    lost: Option<Lost>,
}

/// How a lease was lost; what says more comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lost {
    /// It ran out, or its session did.
    Stale,
    /// Nobody wants its job any more.
    Cancelled,
}

/// What a heartbeat carries.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    entries: Vec<AttemptProgress>,
    /// For each attempt with news, the place of the last epoch carried.
    last: Vec<((JobKey, u32), u64)>,
}

impl Snapshot {
    /// The entries, for a request.
    pub(crate) fn entries(&self) -> Vec<AttemptProgress> {
        self.entries.clone()
    }

    fn add(&mut self, id: &(JobKey, u32), held: &HeldAttempt, at_most: usize) {
        let entry = |progress: Option<&Progress>| AttemptProgress {
            attempt: Some(AttemptId { job_key: id.0.as_str().into(), attempt: id.1 }),
            slot: held.slot,
            progress: progress.cloned().map(Into::into),
        };
        if held.pending.is_empty() {
            self.entries.push(entry(None));
        }
        for (place, progress) in held.pending.iter().take(at_most) {
            self.entries.push(entry(Some(progress)));
            match self.last.last_mut() {
                Some((last_id, last_place)) if last_id == id => *last_place = *place,
                _ => self.last.push((id.clone(), *place)),
            }
        }
    }

    /// Whether it carries any finished epoch.
    pub(crate) fn has_progress(&self) -> bool {
        !self.last.is_empty()
    }
}

impl Held {
    /// Takes an attempt in; `stop` is cancelled when its lease is lost.
    pub(crate) fn insert(&self, attempt: &Attempt, slot: u32, stop: CancellationToken) {
        self.attempts().insert(key(attempt), HeldAttempt { slot, pending: VecDeque::new(), n_told: 0, stop, lost: None });
    }

    /// Number of attempts held.
    pub(crate) fn n_attempts(&self) -> usize {
        self.attempts().len()
    }

    /// How the lease was lost, where the coordinator has said so.
    pub(crate) fn lost(&self, attempt: &Attempt) -> Option<Lost> {
        self.attempts().get(&key(attempt))?.lost
    }

    /// Lets an attempt go: it has been reported, released or lost.
    pub(crate) fn remove(&self, attempt: &Attempt) {
        self.attempts().remove(&key(attempt));
    }

    /// Queues a finished epoch. Telling one again replaces what was told before; what comes before the first epoch's end is not kept.
    pub(crate) fn push(&self, attempt: &Attempt, progress: Progress) {
        if progress.epoch == 0 {
            return;
        }
        if let Some(held) = self.attempts().get_mut(&key(attempt)) {
            held.pending.pop_back_if(|(_, last)| last.epoch == progress.epoch);
            held.n_told += 1;
            held.pending.push_back((held.n_told, progress));
            if held.pending.len() > MAX_PENDING {
                held.pending.pop_front();
            }
        }
    }

    /// What to tell the coordinator: at least one entry of every attempt, which renews its lease, and the epochs that it does not know.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let attempts = self.attempts();
        let per_attempt = (MAX_ENTRIES / attempts.len().max(1)).max(1);
        let mut snapshot = Snapshot::default();
        for (id, held) in attempts.iter() {
            snapshot.add(id, held, per_attempt);
        }
        snapshot
    }

    /// The same of those among some attempts that have news.
    pub(crate) fn news_of(&self, wanted: &[Attempt]) -> Snapshot {
        let attempts = self.attempts();
        let per_attempt = (MAX_ENTRIES / wanted.len().max(1)).max(1);
        let mut snapshot = Snapshot::default();
        let held = wanted.iter().filter_map(|attempt| attempts.get_key_value(&key(attempt)));
        for (id, held) in held.filter(|(_, held)| !held.pending.is_empty()) {
            snapshot.add(id, held, per_attempt);
        }
        snapshot
    }

    /// Forgets epochs that have been delivered. One that was told anew in the meantime stays.
    pub(crate) fn acknowledge(&self, delivered: &Snapshot) {
        let mut attempts = self.attempts();
        for (id, last) in &delivered.last {
            if let Some(held) = attempts.get_mut(id) {
                while held.pending.pop_front_if(|(place, _)| *place <= *last).is_some() {}
            }
        }
    }

    /// Tells the runs of lost leases to stop. An attempt may be in both lists.
    pub(crate) fn mark_lost(&self, stale: &[AttemptId], cancelled: &[AttemptId]) {
        let stale = stale.iter().map(|id| (id, Lost::Stale));
        let cancelled = cancelled.iter().map(|id| (id, Lost::Cancelled));
        let mut attempts = self.attempts();
        for (id, how) in stale.chain(cancelled) {
            if let Some(held) = parse(id).and_then(|id| attempts.get_mut(&id)) {
                held.lost = held.lost.max(Some(how));
                held.stop.cancel();
            }
        }
    }

    fn attempts(&self) -> MutexGuard<'_, BTreeMap<(JobKey, u32), HeldAttempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt's identity on the wire.
pub(crate) fn attempt_id(attempt: &Attempt) -> AttemptId {
    AttemptId { job_key: attempt.job.as_str().into(), attempt: attempt.number }
}

fn key(attempt: &Attempt) -> (JobKey, u32) {
    (attempt.job.clone(), attempt.number)
}

fn parse(id: &AttemptId) -> Option<(JobKey, u32)> {
    JobKey::parse(&id.job_key).map(|job| (job, id.attempt))
}

#[cfg(test)]
mod tests;
