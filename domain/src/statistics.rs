//! Statistics over seeds and over pairs: what a mean is worth, and whether a difference is more than luck.
//!
//! - [`mean`], [`sample_deviation`], [`Interval`]: location and spread; [`bootstrap`]: intervals by resampling.
//! - [`wilcoxon`], [`effect`]: paired differences, whether they lean to one side and how far.
//! - [`friedman`], [`nemenyi`]: several treatments over the same blocks.
//! - [`holm`]: many p-values at once.
//!
//! Numbers that go in are finite. Where there is too little to say, the answer is [`Missing`] with what is missing in words, and never a number that
//! only looks like one.

pub mod bootstrap;
pub mod effect;
pub mod friedman;
pub mod nemenyi;
mod normal;
mod ranks;
pub mod wilcoxon;

pub use self::bootstrap::Bootstrap;
pub use self::ranks::ranks;

/// What is missing for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// Too few of something.
    #[error("needs {need} or more {what}, there {} {have}", if *have == 1 { "is" } else { "are" })]
    TooFew {
        /// What there are too few of, in the plural.
        what: &'static str,
        /// How many are needed.
        need: usize,
        /// How many there are.
        have: usize,
    },
    /// Nothing varies.
    #[error("all {0} are equal")]
    NoSpread(&'static str),
}

/// Stops where there is less of something than is needed.
pub(crate) const fn at_least(need: usize, have: usize, what: &'static str) -> Result<(), Missing> {
    if have < need { Err(Missing::TooFew { what, need, have }) } else { Ok(()) }
}

/// A range that holds what is estimated with the confidence asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// The arithmetic mean; 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The sample standard deviation, with n - 1 in the denominator, in two passes.
///
/// # Errors
/// For fewer than two values.
pub fn sample_deviation(values: &[f64]) -> Result<f64, Missing> {
    at_least(2, values.len(), "values")?;
    Ok((squared_distances(values) / (values.len() - 1) as f64).sqrt())
}

/// Sum of squared distances from the mean.
pub(crate) fn squared_distances(values: &[f64]) -> f64 {
    let centre = mean(values);
    values.iter().map(|value| (value - centre) * (value - centre)).sum()
}

/// What one sample comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// How many values there are.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their sample deviation; absent for one value.
    pub deviation: Option<f64>,
    /// A bootstrap interval of the mean; absent where there is nothing to resample.
    pub interval: Result<Interval, Missing>,
}

/// Mean, deviation and interval of a sample.
///
/// # Errors
/// For no value at all.
pub fn summary(values: &[f64], bootstrap: &Bootstrap) -> Result<Summary, Missing> {
    at_least(1, values.len(), "values")?;
    let deviation = sample_deviation(values).ok();
    Ok(Summary { n: values.len(), mean: mean(values), deviation, interval: bootstrap.interval(values) })
}

/// P-values adjusted for having asked as many questions, in their order, such that comparing each with a level keeps the chance of any false
/// alarm at that level, whatever the questions have to do with each other.
///
/// # Source
/// Holm: A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6 (1979).
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (n_before, index) in order.into_iter().enumerate() {
        largest = largest.max((p_values.len() - n_before) as f64 * p_values[index]).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests;
