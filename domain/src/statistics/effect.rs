//! How large a difference is, whatever the number of pairs.

use super::wilcoxon::SignedRank;
use super::{Missing, mean, sample_deviation};

/// The matched-pairs rank-biserial correlation: the positive share of the ranks less the negative one, -1 to 1.
///
/// # Source
/// Kerby: The simple difference formula. Comprehensive Psychology 3 (2014).
pub fn rank_biserial(test: &SignedRank) -> f64 {
    (test.plus - test.minus) / (test.plus + test.minus)
}

/// Cohen's d of paired differences: their mean in units of their sample deviation.
///
/// # Errors
/// For fewer than two differences, and for differences that are all equal.
///
/// # Source
/// Cohen: Statistical Power Analysis for the Behavioral Sciences (1988), 2.3.5, there `d_z`.
pub fn cohens_dz(differences: &[f64]) -> Result<f64, Missing> {
    let deviation = sample_deviation(differences)?;
    if differences.iter().all(|difference| *difference == differences[0]) {
        return Err(Missing::NoSpread("differences"));
    }
    Ok(mean(differences) / deviation)
}
