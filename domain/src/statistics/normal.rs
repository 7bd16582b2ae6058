//! The standard normal distribution.

use statrs::distribution::{ContinuousCDF, Normal};

fn standard() -> Normal {
    Normal::new(0.0, 1.0).expect("0 and 1 are a mean and a deviation")
}

/// Probability of a value up to `z`. The complementary error function of `libm` is exact to the last bits in both tails.
pub(super) fn cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

/// The value that stays below with probability `p`, which is from 0 to 1.
pub(super) fn quantile(p: f64) -> f64 {
    standard().inverse_cdf(p)
}

/// The density at `z`.
pub(super) fn density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt()
}
