//! How long to wait before a coordinator that does not answer is asked again.

use std::time::Duration;

use crate::environment::Stopwatch;

/// Bounds of the first delay, and of every delay: short enough that a restarted coordinator is found at once.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);
/// Doublings after which [`LONGEST`] is reached.
const DOUBLINGS: u32 = 5;

/// The delays between the tries of one call: anything from 0 to a bound that doubles ("full jitter"), until patience runs out. Patience begins with
/// the first failure: how long the coordinator was busy with the call, or silent on a stream, before that is no time in which it was away.
#[derive(Debug)]
pub(crate) struct BackOff {
    patience: Duration,
    /// The first failure.
    since: Option<Stopwatch>,
    n_failures: u32,
    chance: fastrand::Rng,
}

impl BackOff {
    /// Begins; processes that lost the same coordinator come back at different times.
    pub(crate) fn new(patience: Duration) -> Self {
        let chance = fastrand::Rng::with_seed(std::process::id().into());
        Self { patience, since: None, n_failures: 0, chance }
    }

    /// How long to wait after another failure; `None` when patience is at its end.
    pub(crate) fn next(&mut self) -> Option<Duration> {
        let since = self.since.get_or_insert_with(Stopwatch::start);
        let left = self.patience.checked_sub(since.elapsed()).filter(|left| !left.is_zero())?;
        self.n_failures += 1;
        Some(delay(self.n_failures, &mut self.chance).min(left))
    }

    /// Whether one failure has been told of.
    pub(crate) const fn is_first(&self) -> bool {
        self.n_failures == 1
    }
}

/// Delay after failure number `n_failures`, from 1.
fn delay(n_failures: u32, chance: &mut fastrand::Rng) -> Duration {
    let bound = (FIRST * 2_u32.pow(n_failures.saturating_sub(1).min(DOUBLINGS))).min(LONGEST);
    bound.mul_f64(chance.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_bound_and_fill_their_range() {
        // The bounds by hand: 0.1 s, 0.2 s, ... 1.6 s, 2 s. Of 500 draws the longest is within 5 % of the bound, the shortest near 0, surely.
        for (n_failures, bound) in [(1, 0.1), (2, 0.2), (3, 0.4), (5, 1.6), (6, 2.0), (u32::MAX, 2.0)] {
            let delays = (0..500).map(|seed| delay(n_failures, &mut fastrand::Rng::with_seed(seed)).as_secs_f64());
            let (shortest, longest) = delays.fold((f64::MAX, 0.0_f64), |(least, most), delay| (least.min(delay), most.max(delay)));
            assert!(longest <= bound && longest > 0.95 * bound && shortest < 0.05 * bound, "{n_failures}: {shortest} to {longest}");
        }
    }

    #[test]
    fn patience_bounds_the_wait() {
        let mut impatient = BackOff::new(Duration::ZERO);
        assert_eq!(impatient.next(), None);
        let mut patient = BackOff::new(Duration::from_hours(1));
        let delays: Vec<_> = (0..20).map(|_| patient.next().unwrap()).collect();
        assert!(delays.iter().all(|delay| *delay <= LONGEST), "{delays:?}");
        assert!(BackOff::new(Duration::from_millis(1)).next().is_none_or(|delay| delay <= Duration::from_millis(1)));
    }

    #[test]
    fn patience_begins_with_the_first_failure() {
        let patience = Duration::from_millis(50);
        let mut back_off = BackOff::new(patience);
        assert!(back_off.since.is_none(), "nothing counts before it");
        back_off.next();
        let since = back_off.since.expect("it counts from now on");
        while since.elapsed() < patience {
            std::thread::yield_now();
        }
        assert_eq!(back_off.next(), None);
    }
}
