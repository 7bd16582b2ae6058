//! Nemenyi's test after Friedman's: which treatments differ?

use super::normal;

/// Difference of two mean ranks from which on the two differ, at the level `alpha`.
///
/// # Panics
/// Unless there are at least two treatments and a block, and `alpha` is between 0 and 1.
///
/// # Source
/// Nemenyi: Distribution-free multiple comparisons (1963), as given by Demšar: Statistical comparisons of classifiers over multiple data sets.
/// JMLR 7 (2006), 3.2.2.
pub fn critical_difference(n_treatments: usize, n_blocks: usize, alpha: f64) -> f64 {
    assert!(alpha > 0.0 && alpha < 1.0, "a level is between 0 and 1");
    range_quantile(alpha, n_treatments) / std::f64::consts::SQRT_2 * standard_error(n_treatments, n_blocks)
}

/// P-value of a difference of two mean ranks, adjusted for all pairs of treatments.
///
/// # Panics
/// Unless there are at least two treatments and a block.
pub fn p_value(rank_difference: f64, n_treatments: usize, n_blocks: usize) -> f64 {
    range_tail(rank_difference.abs() / standard_error(n_treatments, n_blocks) * std::f64::consts::SQRT_2, n_treatments)
}

/// Step of the integration, in deviations.
const STEP: f64 = 1.0 / 32.0;

fn standard_error(n_treatments: usize, n_blocks: usize) -> f64 {
    assert!(n_treatments >= 2 && n_blocks >= 1, "there are treatments and blocks to compare");
    let (k, n) = (n_treatments as f64, n_blocks as f64);
    (k * (k + 1.0) / (6.0 * n)).sqrt()
}

/// Probability that the range of `k` independent standard normal values exceeds `q`: the studentized range with infinitely many degrees of freedom.
///
/// The range exceeds `q` when, the largest value being z, the others do not all lie between z - q and z:
/// k ∫ φ(z) (Φ(z)^(k-1) - (Φ(z) - Φ(z - q))^(k-1)) dz. The difference is taken inside the integral, so that small probabilities keep their digits. The
/// integrand is smooth and vanishes at both ends, where the trapezoidal rule converges faster than any power of the step.
///
/// # Panics
/// For `k` below 2.
pub fn range_tail(q: f64, k: usize) -> f64 {
    assert!(k >= 2, "a range is of two values or more");
    if q <= 0.0 {
        return 1.0;
    }
    // Past 39 deviations the density is 0 in double precision; below -9 it counts for nothing beside what is above.
    let (first, last) = (-9.0, 39.0);
    let n_steps = ((last - first) / STEP) as u32;
    let others = (k - 1) as f64;
    let integrand = |z: f64| {
        let below = normal::cdf(z);
        let outside = normal::cdf(z - q) / below;
        // 1 - (1 - outside)^(k - 1)
        let missed = -libm::expm1(others * libm::log1p(-outside));
        normal::density(z) * libm::pow(below, others) * missed
    };
    let sum: f64 = (0..=n_steps).map(|step| integrand(first + STEP * f64::from(step))).sum();
    (k as f64 * STEP * sum).min(1.0)
}

/// What the range of `k` independent standard normal values exceeds with the probability `alpha`.
///
/// # Panics
/// For `k` below 2, or `alpha` that is not between 0 and 1.
pub fn range_quantile(alpha: f64, k: usize) -> f64 {
    assert!(alpha > 0.0 && alpha < 1.0, "a level is between 0 and 1");
    let (mut low, mut high) = (0.0, 1.0);
    while range_tail(high, k) > alpha {
        high *= 2.0;
    }
    // Halved until nothing is between the two.
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return middle;
        }
        if range_tail(middle, k) > alpha {
            low = middle;
        } else {
            high = middle;
        }
    }
}
