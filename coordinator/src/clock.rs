//! The one place that reads the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Tells the time in unix microseconds.
#[derive(Debug, Clone)]
pub(crate) enum Clock {
    /// The wall clock as it stood at the start, moved on by the monotonic clock: setting the wall clock ends no lease and prolongs none.
    /// While the machine sleeps, so do leases.
    Steady {
        /// The wall clock at the start.
        started_us: i64,
        /// The monotonic clock at the same moment.
        started: Instant,
    },
    /// Stands where a test puts it.
    #[cfg(test)]
    Manual(std::sync::Arc<std::sync::atomic::AtomicI64>),
}

impl Clock {
    /// A clock that starts at the wall clock's time.
    #[expect(clippy::disallowed_methods, reason = "the edge at which time comes in")]
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::Steady { started_us: since_epoch.as_micros() as i64, started: Instant::now() }
    }

    /// The same clock, put to what another one says now: several coordinators that share a database go by its clock.
    pub(crate) fn set_to(&self, now_us: i64) -> Self {
        match self {
            Self::Steady { started, .. } => Self::Steady { started_us: now_us - started.elapsed().as_micros() as i64, started: *started },
            #[cfg(test)]
            Self::Manual(_) => self.clone(),
        }
    }

    /// Unix microseconds.
    pub(crate) fn now_us(&self) -> i64 {
        match self {
            Self::Steady { started_us, started } => started_us + started.elapsed().as_micros() as i64,
            #[cfg(test)]
            Self::Manual(now_us) => now_us.load(std::sync::atomic::Ordering::SeqCst),
        }
    }
}
