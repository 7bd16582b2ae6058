//! Branching patterns: how the branch budget is shared out over the exits.
//!
//! Shares are of the total cost of the side branches, not negative, and sum to 1. With exit `k` of `K` at position
//! `u_k = 2 (k - 1) / (K - 1) - 1`, which runs from -1 to 1, the linear patterns are `s_k = (1 - gamma u_k) / K`: `gamma = 0` is constant,
//! `gamma > 0` decreasing (more for the early exits), `gamma < 0` increasing, and `gamma` and `-gamma` mirror each other.
//!
//! # Source
//! Constant, increasing and decreasing patterns at one total branch cost are compared by Lin, Ji, Ji, Yao (arXiv 2204.13347); the linear family is
//! Offramp's own way to make them one axis.

use crate::job::Pattern;

/// How far explicit shares may be from summing to 1: a hair above a millionth, so that three times 0.333333 passes in spite of binary rounding.
const SUM_TOLERANCE: f64 = 1.000_001e-6;

/// The share of each of `n_exits` side exits, first to last.
///
/// # Errors
/// When a slope is outside (0, 1], or explicit shares are not one per exit, not negative, and summing to 1.
///
/// # Examples
/// ```
/// use offramp_domain::{job::Pattern, pattern::shares};
/// assert_eq!(shares(&Pattern::Decreasing(0.5), 3).unwrap(), [0.5, 1.0 / 3.0, 0.5 / 3.0]);
/// ```
pub fn shares(pattern: &Pattern, n_exits: usize) -> Result<Vec<f64>, PatternError> {
    match pattern {
        Pattern::Constant => Ok(linear(0.0, n_exits)),
        Pattern::Increasing(slope) => Ok(linear(-check_slope(*slope)?, n_exits)),
        Pattern::Decreasing(slope) => Ok(linear(check_slope(*slope)?, n_exits)),
        Pattern::List(shares) => check_list(shares, n_exits).map(|()| shares.clone()),
    }
}

/// Shares falling linearly with slope `gamma`.
fn linear(gamma: f64, n_exits: usize) -> Vec<f64> {
    let position = |index: usize| match n_exits {
        1 => 0.0,
        // One division of whole numbers, so that mirrored exits get exactly opposite positions.
        _ => (2 * index as i64 - (n_exits as i64 - 1)) as f64 / (n_exits - 1) as f64,
    };
    (0..n_exits).map(|index| (1.0 - gamma * position(index)) / n_exits as f64).collect()
}

/// Which way shares lean: above 0 towards the later exits, below 0 towards the earlier ones.
///
/// For the linear patterns the sign is that of `-gamma`.
pub fn lean(shares: &[f64]) -> f64 {
    let n_exits = shares.len() as i64;
    // Mirrored exits are taken together, so that a symmetric pattern leans by exactly 0.
    (0..shares.len() / 2).map(|index| (n_exits - 1 - 2 * index as i64) as f64 * (shares[shares.len() - 1 - index] - shares[index])).sum()
}

fn check_slope(slope: f64) -> Result<f64, PatternError> {
    if slope > 0.0 && slope <= 1.0 { Ok(slope) } else { Err(PatternError::Slope(slope)) }
}

fn check_list(shares: &[f64], n_exits: usize) -> Result<(), PatternError> {
    if shares.len() != n_exits {
        return Err(PatternError::Length { n_shares: shares.len(), n_exits });
    }
    check_shares(shares)
}

/// Checks explicit shares as far as that needs no exits to give them to.
///
/// # Errors
/// When one is negative or no number, or they do not sum to 1.
pub fn check_shares(shares: &[f64]) -> Result<(), PatternError> {
    if let Some(&share) = shares.iter().find(|share| !(share.is_finite() && **share >= 0.0)) {
        return Err(PatternError::Share(share));
    }
    let sum: f64 = shares.iter().sum();
    if (sum - 1.0).abs() <= SUM_TOLERANCE { Ok(()) } else { Err(PatternError::Sum(sum)) }
}

/// Why a pattern has no shares.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PatternError {
    /// The slope would make a share negative, turn the pattern round, or is none.
    #[error("a slope of {0} is not above 0 and at most 1")]
    Slope(f64),
    /// Not one share per exit.
    #[error("a list of {n_shares} shares does not fit {n_exits} side exits")]
    Length {
        /// Shares given.
        n_shares: usize,
        /// Side exits there are.
        n_exits: usize,
    },
    /// Not a share.
    #[error("a share of {0} is not a number from 0 up")]
    Share(f64),
    /// More or less than everything is shared out.
    #[error("shares sum to {0}, not to 1")]
    Sum(f64),
}

impl PatternError {
    /// What to try instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Slope(slope) if *slope == 0.0 => "a slope of 0 is the pattern `constant`".to_owned(),
            Self::Slope(slope) if *slope < 0.0 => "for the opposite direction swap `increasing` and `decreasing`".to_owned(),
            Self::Slope(_) => "at a slope of 1 the smallest share is already 0".to_owned(),
            Self::Length { n_exits, .. } => {
                format!("give {n_exits} shares; the final exit has none, its classifier is part of the backbone")
            }
            Self::Share(_) => "shares are parts of the whole budget; 0 gives that exit a linear classifier alone".to_owned(),
            Self::Sum(sum) if *sum > 0.0 && sum.is_finite() => format!("divide every share by {sum}"),
            Self::Sum(_) => "give at least one exit a share above 0".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
