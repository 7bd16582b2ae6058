//! Whether anybody is there, and since when not.

use std::error::Error;
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
    /// Since when it answers, but only that it cannot do its work.
    troubled_since: Option<Instant>,
}

impl Contact {
    pub(super) fn new(coordinator: String, give_up_after: Duration) -> Self {
        Self { coordinator, give_up_after, state: Mutex::new(State { last: clock::now(), lost: false, troubled_since: None }) }
    }

    pub(super) fn coordinator(&self) -> &str {
        &self.coordinator
    }

    /// The coordinator answered.
    pub(super) fn made(&self) {
        let mut state = self.state();
        self.reached(&mut state);
        if state.troubled_since.take().is_some() {
            tracing::warn!(coordinator = self.coordinator, "the coordinator works again");
        }
    }

    /// The coordinator answered that it cannot do its work. `Some` where that has lasted for as long as contact may be missing.
    pub(super) fn troubled(&self, rpc: &'static str, status: &Status) -> Option<Duration> {
        let mut state = self.state();
        self.reached(&mut state);
        let now = state.last;
        let since = *state.troubled_since.get_or_insert_with(|| {
            tracing::warn!(coordinator = self.coordinator, rpc, reason = status.message(), "the coordinator is in trouble, trying on");
            now
        });
        let duration = now.duration_since(since);
        (duration >= self.give_up_after).then_some(duration)
    }

    /// Whether the last answer was that the coordinator cannot do its work.
    pub(super) fn is_troubled(&self) -> bool {
        self.state().troubled_since.is_some()
    }

    fn reached(&self, state: &mut State) {
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
                reason = reason(status),
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

/// Why a call got no answer, in the words of what failed first: `Connection refused`, not `transport error`.
pub(super) fn reason(status: &Status) -> String {
    match std::iter::successors(status.source(), |&error| error.source()).last() {
        Some(first) => first.to_string(),
        None => status.message().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_those_of_the_first_failure() {
        assert_eq!(reason(&Status::unavailable("shutting down")), "shutting down");
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let wrapped = std::io::Error::other(crate::trainer::FrameError::Read(refused));
        assert_eq!(reason(&Status::from_error(Box::new(wrapped))), "connection refused");
    }

    #[test]
    fn trouble_is_timed_from_its_beginning_and_ended_by_an_answer() {
        let status = Status::internal("disk full");
        let patient = Contact::new("http://a:1".into(), Duration::from_mins(10));
        assert_eq!(patient.troubled("Claim", &status), None);
        assert!(patient.is_troubled());
        patient.made();
        assert!(!patient.is_troubled());
        assert!(Contact::new("http://a:1".into(), Duration::ZERO).troubled("Claim", &status).is_some());
    }

    #[test]
    fn contact_is_given_up_on_only_after_the_time_for_it() {
        let status = Status::unavailable("");
        assert_eq!(Contact::new("http://a:1".into(), Duration::from_mins(10)).missed(&status), None);
        assert!(Contact::new("http://a:1".into(), Duration::ZERO).missed(&status).is_some());
    }
}
