//! Intervals of a mean by resampling.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Interval, Missing, at_least, mean, normal};

/// How an interval is read off the means of resamples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// Percentiles, moved to undo bias and skewness.
    #[default]
    Bca,
    /// Percentiles as they are.
    Percentile,
}

/// How to resample. Resamples are a function of the seed and the sample, the same everywhere; what is read off them depends in its last digits on
/// the system's mathematical functions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// How to read the interval off.
    pub method: Method,
    /// How often the interval is to hold the true mean, above 0 and below 1.
    pub confidence: f64,
    /// How many resamples are drawn, at least 1.
    pub n_resamples: usize,
    /// Where drawing starts.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { method: Method::Bca, confidence: 0.95, n_resamples: 10_000, seed: 0 }
    }
}

impl Bootstrap {
    /// An interval of the mean of what `values` are a sample of.
    ///
    /// With few values it is too narrow, as resamples vary less than samples: by a factor of √((n - 1) / n) in the deviation alone.
    ///
    /// # Errors
    /// For fewer than two values, and for values that are all equal: resampling them shows no spread, which is no reason to believe that there is none.
    ///
    /// # Source
    /// Efron: Better bootstrap confidence intervals. JASA 82 (1987); Efron, Tibshirani: An Introduction to the Bootstrap (1993), 13.3 and 14.3.
    pub fn interval(&self, values: &[f64]) -> Result<Interval, Missing> {
        at_least(2, values.len(), "values")?;
        if values.iter().all(|value| *value == values[0]) {
            return Err(Missing::NoSpread("values"));
        }
        Ok(self.read_off(values, self.resampled_means(values)))
    }

    /// The means of the resamples, in the order drawn.
    ///
    /// # Panics
    /// For no values.
    pub fn resampled_means(&self, values: &[f64]) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let n = values.len() as u64;
        let mut times = vec![0_u32; values.len()];
        let mut mean_of_resample = |_| {
            times.fill(0);
            for _ in 0..n {
                // The high half of a 32-bit draw times n: as even as 2^32 is large, and the same on machines of either word size.
                times[((u64::from(random.next_u32()) * n) >> 32) as usize] += 1;
            }
            // Summed in one order, so that resamples of the same values have the same mean, and the sample itself the sample's.
            let sum: f64 = values.iter().zip(&times).map(|(value, times)| value * f64::from(*times)).sum();
            sum / n as f64
        };
        (0..self.n_resamples).map(&mut mean_of_resample).collect()
    }

    /// Reads the interval off the means of resamples of `values`, which are two or more and not all equal.
    pub fn read_off(&self, values: &[f64], mut means: Vec<f64>) -> Interval {
        means.sort_by(f64::total_cmp);
        let tail = (1.0 - self.confidence) / 2.0;
        let (low, high) = match self.method {
            Method::Percentile => (tail, 1.0 - tail),
            Method::Bca => corrected_levels(values, &means, tail),
        };
        Interval { low: percentile(&means, low), high: percentile(&means, high) }
    }
}

/// Which percentiles of the sorted `means` have `tail` below and above once bias and skewness are undone.
fn corrected_levels(values: &[f64], means: &[f64], tail: f64) -> (f64, f64) {
    let centre = mean(values);
    // Means equal to the sample's count half.
    let below = means.partition_point(|mean| *mean < centre) + means.partition_point(|mean| *mean <= centre);
    let bias = normal::quantile(below as f64 / (2 * means.len()) as f64);
    let acceleration = acceleration(values);
    let level = |z: f64| {
        let moved = bias + z;
        normal::cdf(bias + moved / (1.0 - acceleration * moved))
    };
    let z = normal::quantile(tail);
    // Means that are all on one side have an infinite bias: nothing is known of the middle, and the extremes stand.
    let or = |level: f64, otherwise: f64| if level.is_nan() { otherwise } else { level };
    (or(level(z), tail), or(level(-z), 1.0 - tail))
}

/// How fast the spread of the mean changes with the mean, from the sample with each value left out in turn. Of a mean these are the deviations
/// from it, so that this is a sixth of the sample's skewness over √n.
fn acceleration(values: &[f64]) -> f64 {
    let centre = mean(values);
    let moment = |power| values.iter().map(|value| (value - centre).powi(power)).sum::<f64>();
    moment(3) / (6.0 * moment(2).powf(1.5))
}

/// The value at a level of a sorted sample, interpolated linearly between the two next to it (the seventh definition of Hyndman and Fan, 1996).
fn percentile(sorted: &[f64], level: f64) -> f64 {
    let place = level * (sorted.len() - 1) as f64;
    let (below, share) = (place.floor() as usize, place.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * share
}
