//! Branching patterns: how the branch budget is shared out over the exits.
//!
//! Shares are of the total cost of the side branches, not negative, and sum to 1. With exit `k` of `K` at position
//! `u_k = 2 (k - 1) / (K - 1) - 1`, which runs from -1 to 1 (0 where there is one exit alone):
//!
//! | pattern | share of exit `k`, up to a factor that makes the sum 1 |
//! |---|---|
//! | `constant` | 1 |
//! | `decreasing`, `increasing` | `1 - gamma u_k`, `gamma` above and below 0 |
//! | `geometric` | `exp(a u_k / 2)`: the last share over the first is `exp(a)` |
//! | `remaining-work` | `(1 - F_k / F)^q`, `F_k` of the backbone's `F` MACs being done at the exit |
//! | `hump` | `1 - c (u_k^2 - mean u^2)`, 0 where that is negative: a hump for `c` above 0, a U below |
//! | `single` | 1 at one exit, 0 at the others |
//! | `random` | uniform on the simplex (Dirichlet with all parameters 1), a function of the seed and `K` |
//! | `list` | as given |
//!
//! `gamma` and `-gamma` mirror each other, and so do `a` and `-a`. `own` is the branches that a backbone was published with. `final-only` has no side exits and so no shares: the whole budget goes to the
//! final classifier.
//!
//! # Source
//! Constant, increasing and decreasing patterns at one total branch cost are compared by Lin, Ji, Ji, Yao (arXiv 2204.13347); the families are
//! Offramp's own way to make them axes, and `random` and `final-only` are controls.

use sha2::{Digest, Sha256};

use crate::job::Pattern;

/// How far explicit shares may be from summing to 1: a hair above a millionth, so that three times 0.333333 passes in spite of binary rounding.
const SUM_TOLERANCE: f64 = 1.000_001e-6;

/// Largest logarithm of the last share over the first: a ratio of 22,026, past which the smallest share pays for nothing anywhere.
pub const MAX_LOG_RATIO: f64 = 10.0;

/// Largest power of the work left to do: past it all but one exit get nothing.
pub const MAX_POWER: f64 = 10.0;

/// Largest curvature: of six exits, a hump leaves the two ends nothing from 1.875 on, and a U leaves the four others nothing from 9.375 on.
pub const MAX_CURVATURE: f64 = 10.0;

/// Where a pattern has the budget go.
#[derive(Debug, Clone, PartialEq)]
pub enum Allotment {
    /// To the side exits, first to last, in these shares.
    SideExits(Vec<f64>),
    /// To the final classifier of a network without side exits.
    FinalHead,
    /// To the branches that the backbone was published with.
    OwnBranches,
}

/// Shares out over the side exits, of which `done` says which fraction of the backbone's MACs is done at each, first to last.
///
/// # Errors
/// When a pattern's number is out of its range, explicit shares are not one per exit, not negative, and summing to 1, or the one exit that
/// gets everything does not exist.
///
/// # Examples
/// ```
/// use offramp_domain::{job::Pattern, pattern::{Allotment, allot}};
/// let shares = vec![0.5, 1.0 / 3.0, 0.5 / 3.0];
/// assert_eq!(allot(&Pattern::Decreasing(0.5), &[0.4, 0.7, 0.99]).unwrap(), Allotment::SideExits(shares));
/// ```
pub fn allot(pattern: &Pattern, done: &[f64]) -> Result<Allotment, PatternError> {
    let n_exits = done.len();
    let shares = match pattern {
        Pattern::Constant => linear(0.0, n_exits),
        Pattern::Increasing(slope) => linear(-check_slope(*slope)?, n_exits),
        Pattern::Decreasing(slope) => linear(check_slope(*slope)?, n_exits),
        Pattern::List(shares) => check_list(shares, n_exits).map(|()| shares.clone())?,
        Pattern::Geometric(log_ratio) => geometric(check(*log_ratio, MAX_LOG_RATIO).map_err(PatternError::LogRatio)?, n_exits),
        Pattern::RemainingWork(power) => remaining_work(check(*power, MAX_POWER).map_err(PatternError::Power)?, done)?,
        Pattern::Hump(curvature) => hump(check(*curvature, MAX_CURVATURE).map_err(PatternError::Curvature)?, n_exits),
        Pattern::Single(exit) => single(*exit, n_exits)?,
        Pattern::Random(seed) => random(*seed, n_exits),
        Pattern::Own => return Ok(Allotment::OwnBranches),
        Pattern::FinalOnly => return Ok(Allotment::FinalHead),
    };
    Ok(Allotment::SideExits(shares))
}

/// Position of an exit, from -1 to 1: one division of whole numbers, so that mirrored exits get exactly opposite positions.
fn position(index: usize, n_exits: usize) -> f64 {
    match n_exits {
        1 => 0.0,
        _ => (2 * index as i64 - (n_exits as i64 - 1)) as f64 / (n_exits - 1) as f64,
    }
}

/// Shares falling linearly with slope `gamma`.
fn linear(gamma: f64, n_exits: usize) -> Vec<f64> {
    (0..n_exits).map(|index| (1.0 - gamma * position(index, n_exits)) / n_exits as f64).collect()
}

/// The exponential of `libm`, as that of the standard library may differ in the last bit from system to system: a job is the same network on
/// the coordinator and on every worker.
fn geometric(log_ratio: f64, n_exits: usize) -> Vec<f64> {
    normalised((0..n_exits).map(|index| libm::exp(log_ratio * position(index, n_exits) / 2.0)).collect())
}

/// As [`geometric`], the power is that of `libm`.
fn remaining_work(power: f64, done: &[f64]) -> Result<Vec<f64>, PatternError> {
    let weights: Vec<f64> = done.iter().map(|done| libm::pow(1.0 - done, power)).collect();
    let sum = mirrored_sum(&weights);
    if sum > 0.0 && sum.is_finite() { Ok(normalised(weights)) } else { Err(PatternError::NothingRemains) }
}

fn hump(curvature: f64, n_exits: usize) -> Vec<f64> {
    let squares: Vec<f64> = (0..n_exits).map(|index| position(index, n_exits).powi(2)).collect();
    let mean = mirrored_sum(&squares) / n_exits as f64;
    normalised(squares.into_iter().map(|square| (1.0 - curvature * (square - mean)).max(0.0)).collect())
}

fn single(exit: u32, n_exits: usize) -> Result<Vec<f64>, PatternError> {
    let chosen = (exit as usize).checked_sub(1).filter(|index| *index < n_exits).ok_or(PatternError::NoSuchExit { exit, n_exits })?;
    Ok((0..n_exits).map(|index| if index == chosen { 1.0 } else { 0.0 }).collect())
}

/// The gaps that `n_exits - 1` random cuts leave of the unit interval are uniform on the simplex. Cuts are multiples of 2^-53, so gaps are exact.
///
/// The cuts are the top 53 bits of the first eight bytes, most significant first, of SHA-256 of `offramp random pattern`, the seed and the
/// cut's index, both as eight such bytes.
fn random(seed: u64, n_exits: usize) -> Vec<f64> {
    let cut = |index: usize| {
        let hash = Sha256::new().chain_update("offramp random pattern").chain_update(seed.to_be_bytes());
        let digest = hash.chain_update((index as u64).to_be_bytes()).finalize();
        let word = digest[..8].iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        (word >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut cuts: Vec<f64> = (0..n_exits.saturating_sub(1)).map(cut).collect();
    cuts.push(1.0);
    cuts.sort_by(f64::total_cmp);
    let before = std::iter::once(0.0).chain(cuts.clone());
    cuts.iter().zip(before).map(|(cut, before)| cut - before).take(n_exits).collect()
}

/// Divides weights by their sum.
fn normalised(mut weights: Vec<f64>) -> Vec<f64> {
    let sum = mirrored_sum(&weights);
    for weight in &mut weights {
        *weight /= sum;
    }
    weights
}

/// A sum that is the same, to the last bit, when the numbers are turned round.
fn mirrored_sum(numbers: &[f64]) -> f64 {
    let half = numbers.len() / 2;
    let pairs: f64 = (0..half).map(|index| numbers[index] + numbers[numbers.len() - 1 - index]).sum();
    if numbers.len().is_multiple_of(2) { pairs } else { pairs + numbers[half] }
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

/// A number of either sign: 0 is the pattern `constant`, and the same work has one key.
fn check(number: f64, most: f64) -> Result<f64, f64> {
    if number != 0.0 && number.abs() <= most { Ok(number) } else { Err(number) }
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
    /// A geometric pattern that is constant, or too steep.
    #[error("a geometric pattern of {0} is not between -{MAX_LOG_RATIO} and {MAX_LOG_RATIO} and other than 0")]
    LogRatio(f64),
    /// A power of the remaining work that makes no difference, or too much of one.
    #[error("a power of {0} of the remaining work is not between -{MAX_POWER} and {MAX_POWER} and other than 0")]
    Power(f64),
    /// A hump that is flat, or too sharp.
    #[error("a hump of {0} is not between -{MAX_CURVATURE} and {MAX_CURVATURE} and other than 0")]
    Curvature(f64),
    /// The exits stand where no work remains.
    #[error("no work remains after the exits, so it cannot be shared out by it")]
    NothingRemains,
    /// Everything goes to an exit that is not there.
    #[error("there is no side exit {exit} among {n_exits}")]
    NoSuchExit {
        /// The exit, counted from 1.
        exit: u32,
        /// Side exits there are.
        n_exits: usize,
    },
    /// A pattern of published branches, and there are none.
    #[error("`{0}` was published without branches")]
    NoOwnBranches(String),
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
            Self::LogRatio(number) | Self::Power(number) | Self::Curvature(number) if *number == 0.0 => {
                "at 0 it is the pattern `constant`".to_owned()
            }
            Self::LogRatio(_) => {
                "it is the natural logarithm of the last share over the first: `-1.5` makes the last a fifth of it".to_owned()
            }
            Self::Power(_) => "1 shares out in proportion to the work that remains, 2 to its square".to_owned(),
            Self::Curvature(_) => "`1` makes a hump over the middle exits, `-1` a U".to_owned(),
            Self::NothingRemains => "move an exit to where work remains, or choose another pattern".to_owned(),
            Self::NoSuchExit { n_exits: 1, .. } => "there is exit 1 alone; the final exit has the pattern `final-only`".to_owned(),
            Self::NoSuchExit { n_exits, .. } => {
                format!("side exits count from 1 to {n_exits}; the final exit has the pattern `final-only`")
            }
            Self::NoOwnBranches(_) => "the pattern `own` is for the `msdnet-` backbones: exclude it where the backbone has none".to_owned(),
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
