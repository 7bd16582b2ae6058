//! The states of a job, and what moves it between them.

use crate::outcome::FailureKind;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for a worker, perhaps until its back-off is over.
    Queued,
    /// A worker has the right to work on it.
    Leased,
    /// Its one result is accepted. Final.
    Succeeded,
    /// It failed as often as it may. Final.
    Failed,
    /// Its loss became NaN or infinite. Final: the same seed would do so again.
    Diverged,
}

/// What happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A worker takes it.
    Claimed,
    /// The worker of the current attempt delivers a result.
    Completed,
    /// The worker of the current attempt reports a failure.
    Failed(FailureKind),
    /// The lease ran out, or the worker's session ended without a word.
    Lost,
    /// The worker gives the lease back.
    Released,
}

/// The state after an event, and what else follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// Where the job stands now.
    pub state: State,
    /// Whether a failure is counted against the attempt budget.
    pub counts_as_failure: bool,
    /// Whether the job waits before it can be claimed again.
    pub backs_off: bool,
}

/// What `event` does to a job in `state` that has failed `n_failures` times of `max_failures`; `None` where the event cannot happen.
pub fn step(_state: State, _event: Event, _n_failures: u32, _max_failures: u32) -> Option<Transition> {
    todo!()
}

/// Delay before attempt number `n_failures + 1`, milliseconds: doubling from 1 s to at most 5 minutes, times a factor in [0.5, 1) drawn from `seed`.
pub fn back_off_ms(_n_failures: u32, _seed: u64) -> u64 {
    todo!()
}
