//! Whether anybody is there, and since when not.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tonic::Status;

use crate::clock;

/// Keeps track of contact with the coordinator over all calls, and says once when it is lost and once when it is back.
#[derive(Debug)]
pub(super) struct Contact {
    coordinator: String,
    give_up_after: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last: Instant,
    lost: bool,
}

impl Contact {
    pub(super) fn new(coordinator: String, give_up_after: Duration) -> Self {
        Self { coordinator, give_up_after, state: Mutex::new(State { last: clock::now(), lost: false }) }
    }

    pub(super) fn coordinator(&self) -> &str {
        &self.coordinator
    }

    /// The coordinator answered.
    pub(super) fn made(&self) {
        let mut state = self.state();
        state.last = clock::now();
        if std::mem::take(&mut state.lost) {
            tracing::warn!(coordinator = self.coordinator, "the coordinator can be reached again");
        }
    }

    /// A call got no answer. `Some` where it is time to give up: how long there has been none.
    pub(super) fn missed(&self, status: &Status) -> Option<Duration> {
        let mut state = self.state();
        let silence = clock::now().duration_since(state.last);
        if !std::mem::replace(&mut state.lost, true) {
            let give_up_after_s = self.give_up_after.as_secs_f64();
            tracing::warn!(
                coordinator = self.coordinator,
                error = status.message(),
                give_up_after_s,
                "the coordinator cannot be reached, trying on"
            );
        }
        (silence >= self.give_up_after).then_some(silence)
    }

    /// Time until it is time to give up.
    pub(super) fn left(&self) -> Duration {
        self.give_up_after.saturating_sub(clock::now().duration_since(self.state().last))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
