//! Random streams: each a pure function of a job's seed, what it is for, and the epoch.

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What random numbers are for. Streams of different purposes are independent, so that none shifts another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Initial weights.
    Weights = 0,
    /// The order of an epoch's images.
    Order = 1,
    /// Crops and flips.
    Augment = 2,
    /// Where images are blanked.
    Cutout = 3,
    /// Which images are blended, and how.
    Mixup = 4,
}

/// The stream of a purpose in an epoch: the key of `ChaCha8` is the seed, the stream number the purpose and the epoch.
pub fn stream(seed: u64, purpose: Purpose, epoch: u32) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(u64::from(epoch) << 8 | purpose as u64);
    rng
}

/// A whole number below `n`. Multiply-shift: its bias is below n / 2^64.
pub fn below(rng: &mut impl Rng, n: usize) -> usize {
    ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize
}

/// A number in [0, 1), one of 2^53 evenly spaced.
pub fn uniform(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A standard normal number (Box and Muller 1958, the cosine branch alone: one draw is then always two words of the stream).
pub fn normal(rng: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - uniform(rng)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(rng)).cos()
}

/// Puts `items` in random order (Fisher and Yates), every order equally likely.
pub fn shuffle<T>(rng: &mut impl Rng, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_seed_purpose_and_epoch() {
        let first = |seed, purpose, epoch| stream(seed, purpose, epoch).next_u64();
        let reference = first(1, Purpose::Order, 2);
        assert_eq!(first(1, Purpose::Order, 2), reference);
        assert_ne!(first(2, Purpose::Order, 2), reference);
        assert_ne!(first(1, Purpose::Augment, 2), reference);
        assert_ne!(first(1, Purpose::Order, 3), reference);
    }

    #[test]
    fn below_stays_below_and_reaches_every_value_evenly() {
        let mut rng = stream(7, Purpose::Order, 0);
        let mut counts = [0_u32; 5];
        for _ in 0..50_000 {
            counts[below(&mut rng, 5)] += 1;
        }
        // 10,000 expected each; five standard deviations are 447.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 447), "{counts:?}");
    }

    #[test]
    fn normal_has_mean_zero_and_variance_one() {
        let mut rng = stream(7, Purpose::Weights, 0);
        let draws: Vec<f64> = (0..100_000).map(|_| normal(&mut rng)).collect();
        let mean = draws.iter().sum::<f64>() / 1e5;
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / 1e5 - mean * mean;
        // Five standard errors: 0.0158 of the mean, 0.0224 of the variance.
        assert!(mean.abs() < 0.0158, "{mean}");
        assert!((variance - 1.0).abs() < 0.0224, "{variance}");
    }

    #[test]
    fn shuffle_keeps_every_item_and_puts_each_anywhere() {
        let mut rng = stream(7, Purpose::Order, 0);
        let mut places = [[0_u32; 4]; 4];
        for _ in 0..40_000 {
            let mut items = [0, 1, 2, 3];
            shuffle(&mut rng, &mut items);
            for (place, item) in items.into_iter().enumerate() {
                places[item][place] += 1;
            }
        }
        // 10,000 expected in each place; five standard deviations are 433.
        assert!(places.iter().flatten().all(|count| count.abs_diff(10_000) < 433), "{places:?}");
    }
}
