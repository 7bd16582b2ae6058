//! Friedman's test: do treatments differ over the same blocks?

use statrs::distribution::{ChiSquared, ContinuousCDF, FisherSnedecor};

use super::ranks::{ranks, tie_sum};
use super::{Missing, at_least};

/// What the test says.
#[derive(Debug, Clone, PartialEq)]
pub struct Friedman {
    /// Blocks in which every treatment was measured.
    pub n_blocks: usize,
    /// Mean rank of each treatment; 1 is the best.
    pub mean_ranks: Vec<f64>,
    /// Friedman's statistic, corrected for ties.
    pub chi_squared: f64,
    /// Its p-value, from the chi-squared distribution.
    pub p: f64,
    /// The same evidence as a statistic that is less conservative; absent where all blocks agree in full and it is infinite.
    pub iman_davenport: Option<ImanDavenport>,
}

/// Iman and Davenport's statistic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImanDavenport {
    /// The statistic.
    pub f: f64,
    /// Its p-value, from the F distribution.
    pub p: f64,
}

/// Tests whether treatments differ, given each block's values in the treatments' order; larger values are better.
///
/// # Errors
/// For fewer than three treatments (two are a pair) or two blocks, and where in every block all values are equal.
///
/// # Panics
/// When blocks are of different lengths.
///
/// # Source
/// Friedman: The use of ranks to avoid the assumption of normality. JASA 32 (1937). The correction for ties: Hollander, Wolfe: Nonparametric
/// Statistical Methods, 7.1. Iman, Davenport: Approximations of the critical region of the Friedman statistic. Communications in Statistics 9 (1980).
/// In comparisons of learners: Demšar: Statistical comparisons of classifiers over multiple data sets. JMLR 7 (2006).
pub fn friedman(blocks: &[Vec<f64>]) -> Result<Friedman, Missing> {
    let n_treatments = blocks.first().map_or(0, Vec::len);
    assert!(blocks.iter().all(|block| block.len() == n_treatments), "every block has one value a treatment");
    at_least(3, n_treatments, "levels")?;
    at_least(2, blocks.len(), "blocks that every level is in")?;
    let (n, k) = (blocks.len() as f64, n_treatments as f64);
    let mut rank_sums = vec![0.0; n_treatments];
    let mut ties = 0.0;
    for block in blocks {
        let worse_last: Vec<f64> = block.iter().map(|value| -value).collect();
        ties += tie_sum(&worse_last);
        for (sum, rank) in rank_sums.iter_mut().zip(ranks(&worse_last)) {
            *sum += rank;
        }
    }
    let correction = 1.0 - ties / (n * k * (k * k - 1.0));
    if correction <= 0.0 {
        return Err(Missing::NoSpread("levels in every block"));
    }
    let middle = n * (k + 1.0) / 2.0;
    let spread: f64 = rank_sums.iter().map(|sum| (sum - middle) * (sum - middle)).sum();
    let chi_squared = 12.0 * spread / (n * k * (k + 1.0)) / correction;
    let p = ChiSquared::new(k - 1.0).expect("there are two levels or more").sf(chi_squared);
    let mean_ranks = rank_sums.iter().map(|sum| sum / n).collect();
    Ok(Friedman { n_blocks: blocks.len(), mean_ranks, chi_squared, p, iman_davenport: iman_davenport(chi_squared, n, k) })
}

fn iman_davenport(chi_squared: f64, n: f64, k: f64) -> Option<ImanDavenport> {
    let left = n * (k - 1.0) - chi_squared;
    // Where all blocks agree nothing is left, but for rounding.
    if left <= 1e-9 * n * (k - 1.0) {
        return None;
    }
    let f = (n - 1.0) * chi_squared / left;
    let distribution = FisherSnedecor::new(k - 1.0, (k - 1.0) * (n - 1.0)).expect("there are two levels and two blocks or more");
    Some(ImanDavenport { f, p: distribution.sf(f) })
}
