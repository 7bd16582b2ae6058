//! Wilcoxon's signed-rank test: do paired differences lean to one side?

use super::ranks::{ranks, tie_sum};
use super::{Missing, at_least, normal};

/// How a p-value came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// From all ways of giving the ranks their signs.
    Exact,
    /// From the normal distribution with the ranks' mean and variance, less for ties, without a correction for continuity.
    Normal,
}

impl Method {
    /// The method's name in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Normal => "normal",
        }
    }
}

/// What the test says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignedRank {
    /// Sum of the ranks of positive differences.
    pub plus: f64,
    /// Sum of the ranks of negative differences.
    pub minus: f64,
    /// How probable ranks at least as one-sided are where differences lean nowhere, two-sided.
    pub p: f64,
    /// Where `p` comes from.
    pub method: Method,
}

/// Largest number of differences for which `p` is exact where none are tied or zero.
const EXACT_MOST: usize = 50;
/// The same where some are tied or zero.
const EXACT_MOST_TIED: usize = 13;

/// Tests paired differences, two-sided. Zeros are left out, as Wilcoxon did; tied distances share their ranks.
///
/// `p` is exact for up to 50 differences that are neither tied nor zero, and for up to 13 of any kind (over the signs of the ranks as they are,
/// ties and all); otherwise normal. These are the rules of `scipy.stats.wilcoxon` 1.16, so that the two can be held against each other.
///
/// # Errors
/// Where no difference is other than zero.
///
/// # Source
/// Wilcoxon: Individual comparisons by ranking methods. Biometrics Bulletin 1 (1945). The variance with ties: Hollander, Wolfe: Nonparametric
/// Statistical Methods, 3.1.
pub fn signed_rank(differences: &[f64]) -> Result<SignedRank, Missing> {
    let kept: Vec<f64> = differences.iter().copied().filter(|difference| *difference != 0.0).collect();
    at_least(1, kept.len(), "differences other than zero")?;
    let distances: Vec<f64> = kept.iter().map(|difference| difference.abs()).collect();
    let ranks = ranks(&distances);
    // Not `sum`, which makes -0 of nothing.
    let sum = |sign: f64| ranks.iter().zip(&kept).filter(|(_, of)| of.signum() == sign).fold(0.0, |sum, (rank, _)| sum + rank);
    let (plus, minus): (f64, f64) = (sum(1.0), sum(-1.0));
    let ties = tie_sum(&distances);
    let is_plain = ties == 0.0 && kept.len() == differences.len();
    let method = match differences.len() {
        ..=EXACT_MOST_TIED => Method::Exact,
        ..=EXACT_MOST if is_plain => Method::Exact,
        _ => Method::Normal,
    };
    let p = match method {
        Method::Exact => exact(&ranks, plus.min(minus)),
        Method::Normal => approximate(kept.len() as f64, plus.min(minus), ties),
    };
    Ok(SignedRank { plus, minus, p, method })
}

/// Twice the probability that the positive ranks sum to at most `smaller` where every rank is positive or negative like a fair coin.
fn exact(ranks: &[f64], smaller: f64) -> f64 {
    // Mean ranks are halves, so twice the ranks are whole. `ways[s]` is the probability of the sum s.
    let doubled: Vec<usize> = ranks.iter().map(|rank| (2.0 * rank) as usize).collect();
    let mut ways = vec![0.0; doubled.iter().sum::<usize>() + 1];
    ways[0] = 1.0;
    for rank in doubled {
        for sum in (0..ways.len()).rev() {
            let with = if sum < rank { 0.0 } else { ways[sum - rank] };
            ways[sum] = f64::midpoint(ways[sum], with);
        }
    }
    let tail: f64 = ways[..=(2.0 * smaller) as usize].iter().sum();
    (2.0 * tail).min(1.0)
}

fn approximate(n: f64, smaller: f64, ties: f64) -> f64 {
    let middle = n * (n + 1.0) / 4.0;
    let deviation = ((n * (n + 1.0) * (2.0 * n + 1.0) - ties / 2.0) / 24.0).sqrt();
    2.0 * normal::cdf((smaller - middle) / deviation)
}

/// The smallest p-value that so many differences other than zero can give at all: all of them on one side.
pub fn smallest_p(n: usize) -> f64 {
    0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX).saturating_sub(1)).min(1.0)
}
