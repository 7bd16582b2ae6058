//! How long to wait before trying again.

use std::time::Duration;

use crate::chance;

/// Bounds of the first delay, and of every delay: short enough that a restarted coordinator is found at once.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Doublings after which [`LONGEST`] is reached.
const DOUBLINGS: u32 = 6;

/// Delay after failure number `n_failures`, from 1: anything from 0 to a bound that doubles ("full jitter"), drawn from `seed`.
pub(super) fn delay(seed: u64, n_failures: u32) -> Duration {
    let bound = (FIRST * 2_u32.pow(n_failures.saturating_sub(1).min(DOUBLINGS))).min(LONGEST);
    bound.mul_f64(chance::unit(&[seed, chance::text("back-off"), n_failures.into()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_bound_and_fill_their_range() {
        let longest = |n_failures| (0..500).map(|seed| delay(seed, n_failures)).max().unwrap().as_secs_f64();
        // The bounds by hand: 0.1 s, 0.2 s, ... 3.2 s, 5 s. Of 500 draws the longest is within 5 % of the bound, surely.
        for (n_failures, bound) in [(1, 0.1), (2, 0.2), (3, 0.4), (6, 3.2), (7, 5.0), (8, 5.0), (u32::MAX, 5.0)] {
            let longest = longest(n_failures);
            assert!(longest <= bound && longest > 0.95 * bound, "{n_failures}: {longest} of {bound}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_delays_again() {
        let delays = |seed| (1..10).map(|n_failures| delay(seed, n_failures)).collect::<Vec<_>>();
        assert_eq!(delays(1), delays(1));
        assert_ne!(delays(1), delays(2));
    }
}
