//! How long to wait before trying again.

use std::time::Duration;

use tonic::Status;
use tonic_types::StatusExt;

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

/// Sessions that were lost in one moment are opened anew within this time: a thousand workers are a thousand small writes.
const REOPENING_WITHIN: Duration = Duration::from_secs(1);

/// Delay before a session is opened in the place of lost session number `n_lost`.
pub(super) fn reopening(seed: u64, n_lost: u64) -> Duration {
    REOPENING_WITHIN.mul_f64(chance::unit(&[seed, chance::text("reopening"), n_lost]))
}

/// The longest that a coordinator can ask to be left alone for: what is longer is taken for a mistake.
const LONGEST_ASKED_FOR: Duration = Duration::from_mins(1);

/// How long the coordinator asks to be left alone for (`google.rpc.RetryInfo`).
pub(super) fn asked_for(status: &Status) -> Duration {
    let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
    retry.unwrap_or_default().min(LONGEST_ASKED_FOR)
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_types::{ErrorDetails, RetryInfo};

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

    #[test]
    fn a_thousand_lost_sessions_are_spread_evenly_over_their_time() {
        let mut n_in_tenth = [0_u32; 10];
        for seed in 0..1_000 {
            n_in_tenth[(reopening(seed, 1).as_secs_f64() * 10.0) as usize] += 1;
        }
        // 100 expected in each tenth, deviation 9.5: five of them allowed.
        assert!(n_in_tenth.iter().all(|n| n.abs_diff(100) < 48), "{n_in_tenth:?}");
        assert_ne!(reopening(1, 1), reopening(1, 2), "not in the same order every time");
    }

    #[test]
    fn a_coordinator_may_ask_for_a_pause() {
        let asked = |delay| asked_for(&Status::with_error_details(Code::Unavailable, "", ErrorDetails::with_retry_info(delay)));
        assert_eq!(asked(Some(Duration::from_millis(1_500))), Duration::from_millis(1_500));
        assert_eq!(asked(None), Duration::ZERO);
        assert_eq!(asked(RetryInfo::MAX_RETRY_DELAY.into()), LONGEST_ASKED_FOR);
        assert_eq!(asked_for(&Status::unavailable("")), Duration::ZERO);
        let garbled = Status::with_details(Code::Unavailable, "", bytes::Bytes::from_static(b"\xff\xff"));
        assert_eq!(asked_for(&garbled), Duration::ZERO);
    }
}
