//! Random numbers that are a function of a seed, so that a run can be repeated.

use std::ops::Range;
use std::time::Duration;

/// A stream of random numbers: `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another stream for another purpose, unrelated to this one and to those of other purposes.
    #[must_use]
    pub fn fork(&self, purpose: &str) -> Self {
        // FNV-1a.
        let hash = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(Self(self.0 ^ hash).draw())
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of the range, which must not be empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        // The bias of the remainder is below 2^-32 for the small ranges that schedules draw from.
        range.start + self.draw() % (range.end - range.start)
    }

    /// A time of the range, in whole milliseconds.
    pub fn time(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    /// Whether something of this probability happens.
    pub fn happens(&mut self, probability: f64) -> bool {
        ((self.draw() >> 11) as f64) < probability * (1_u64 << 53) as f64
    }

    /// One of the choices, each as often as its weight says.
    pub fn weighted<T: Copy>(&mut self, choices: &[(u64, T)]) -> T {
        let mut left = self.within(0..choices.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in choices {
            if left < *weight {
                return *choice;
            }
            left -= weight;
        }
        unreachable!("the number drawn is below the sum of the weights")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_splitmix64() {
        // First outputs of the reference implementation.
        let mut chance = Chance::new(1_234_567);
        let outputs = [chance.draw(), chance.draw(), chance.draw()];
        assert_eq!(outputs, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn purposes_have_streams_of_their_own() {
        let chance = Chance::new(7);
        let first = |purpose: &str| chance.fork(purpose).draw();
        assert_eq!(first("proxy"), first("proxy"));
        assert_ne!(first("proxy"), first("schedule"));
        assert_ne!(first("proxy"), Chance::new(8).fork("proxy").draw());
    }

    #[test]
    fn choices_come_as_often_as_they_weigh() {
        let mut chance = Chance::new(1);
        let n_rare = (0..10_000).filter(|_| chance.weighted(&[(9, false), (1, true)])).count();
        let n_happened = (0..10_000).filter(|_| chance.happens(0.1)).count();
        // Binomial with 10,000 tries at 0.1: deviation 30.
        for n in [n_rare, n_happened] {
            assert!(n.abs_diff(1_000) < 150, "{n}");
        }
    }
}
