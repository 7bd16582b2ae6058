//! Budgeted batch classification: quotas of samples that leave at each exit, and the thresholds that meet them.
//!
//! # Source
//! Huang et al., "Multi-scale dense networks for resource efficient image classification" (2018), section 4.2, with the released code's
//! geometric quotas. Where that code lets nobody leave because fewer samples are left than are to leave, here all of them leave; a quota
//! of less than one sample lets nobody leave, and says so. The paper's budget is met by bisection on the quotas' ratio ([`solve`]),
//! and calibration samples are never augmented.

use super::policy::{Rule, Score};
use super::records::SplitRecords;
use super::{BudgetError, play};
use crate::network::ExitCost;

/// Ratios of an operating curve, rising: 1/20, 2/20, ..., 39/20, from nearly all at the first exit to about half at the final one.
pub(super) fn ratios() -> impl Iterator<Item = f64> {
    (1..=39).map(|twentieths| f64::from(twentieths) / 20.0)
}

/// Room for rounding in a product that should be a whole number of samples.
const ROUNDING: f64 = 1e-9;

/// Logarithm of the most extreme ratios: with them a share of e^-40 stays for all exits but one, which is no sample of any dataset.
const MAX_LOG_RATIO: f64 = 40.0;

/// Share of the samples that is to leave at each exit, first to last: each is `ratio` times the one before, and they sum to 1.
pub fn quotas(ratio: f64, n_exits: usize) -> Vec<f64> {
    // By distance from the greatest, so that no power overflows.
    let log = ratio.ln();
    let greatest = if log > 0.0 { n_exits.saturating_sub(1) as f64 * log } else { 0.0 };
    let weights: Vec<f64> = (0..n_exits).map(|exit| (exit as f64 * log - greatest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// Certainties from which samples leave at each side exit, so that of `split` the quotas do: `floor(quota * samples)` of those still there,
/// the surest first, and all that are as sure as the last of them. Infinity where a quota is less than one sample; the least certainty
/// there is where no more are left than are to leave.
///
/// # Panics
/// When `quotas` are not one an exit.
pub fn thresholds(split: &SplitRecords, score: Score, quotas: &[f64]) -> Vec<f64> {
    assert_eq!(quotas.len(), split.exits.len(), "quotas are one an exit");
    let n_samples = split.len() as f64;
    let mut left: Vec<usize> = (0..split.len()).collect();
    let mut thresholds = Vec::with_capacity(quotas.len());
    for (exit, quota) in quotas[..quotas.len() - 1].iter().enumerate() {
        let scores = score.of_exit(split, exit);
        let certainty = |sample: usize| score.turned(f64::from(scores[sample]));
        let mut certainties: Vec<f64> = left.iter().map(|&sample| certainty(sample)).filter(|certainty| !certainty.is_nan()).collect();
        certainties.sort_by(|a, b| b.total_cmp(a));
        let n_leaving = ((quota * n_samples + ROUNDING).floor() as usize).min(certainties.len());
        let threshold = n_leaving.checked_sub(1).map_or(f64::INFINITY, |last| certainties[last]);
        left.retain(|&sample| {
            let leaves = certainty(sample) >= threshold;
            !leaves
        });
        thresholds.push(threshold);
    }
    thresholds
}

/// The ratio at which a sample of the calibration split is expected to cost `budget_macs` (cascade), or as little less as whole samples
/// allow. By bisection: quotas move from early exits to late ones as the ratio grows.
///
/// # Errors
/// When even the first exit costs more than that.
pub fn solve(costs: &[ExitCost], calibration: &SplitRecords, score: Score, budget_macs: f64) -> Result<f64, BudgetError> {
    let cost = |log: f64| {
        let quotas = quotas(log.exp(), costs.len());
        play(costs, calibration, &Rule::Threshold { score, thresholds: thresholds(calibration, score, &quotas) }).macs_cascade
    };
    let (mut affordable, mut too_dear) = (-MAX_LOG_RATIO, MAX_LOG_RATIO);
    let cheapest = cost(affordable);
    // Asked this way round, a budget that is no number is refused as well.
    let can_be_met = cheapest <= budget_macs;
    if !can_be_met {
        return Err(BudgetError { budget_macs, cheapest_macs: cheapest });
    }
    if cost(too_dear) <= budget_macs {
        return Ok(too_dear.exp());
    }
    loop {
        let middle = f64::midpoint(affordable, too_dear);
        if middle <= affordable || middle >= too_dear {
            return Ok(affordable.exp());
        }
        if cost(middle) <= budget_macs {
            affordable = middle;
        } else {
            too_dear = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::evaluation::ExitRecords;

    /// Shares as the released `MSDNet` code computes them, to six decimals; recorded from it for five exits.
    #[test]
    fn quotas_as_published_code_has_them() {
        for (twentieths, expected) in [
            (10, [0.516_129, 0.258_065, 0.129_032, 0.064_516, 0.032_258]),
            (15, [0.327_785, 0.245_839, 0.184_379, 0.138_284, 0.103_713]),
            (20, [0.2; 5]),
            (39, [0.034_933, 0.068_119, 0.132_832, 0.259_022, 0.505_094]),
        ] {
            for (quota, expected) in quotas(f64::from(twentieths) / 20.0, 5).into_iter().zip(expected) {
                assert!((quota - expected).abs() < 5.1e-7, "{quota} is not {expected} at {twentieths}/20");
            }
        }
        assert_eq!(ratios().count(), 39);
    }

    fn split(confidences: &[&[f32]]) -> SplitRecords {
        let n = confidences[0].len();
        let exit = |confidence: &&[f32]| ExitRecords {
            prediction: vec![0; n],
            confidence: confidence.to_vec(),
            entropy: vec![0.0; n],
            margin: vec![0.0; n],
            loss: vec![0.0; n],
            label_rank: vec![0; n],
            ensemble_prediction: vec![0; n],
            ensemble_confidence: vec![0.0; n],
        };
        SplitRecords { indices: vec![0; n], labels: vec![0; n], exits: confidences.iter().map(exit).collect() }
    }

    /// The ten samples of the published code's test case.
    fn ten_samples() -> SplitRecords {
        split(&[
            &[0.9, 0.8, 0.7, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3],
            &[0.95, 0.85, 0.99, 0.7, 0.9, 0.6, 0.8, 0.5, 0.65, 0.4],
            &[1.0; 10],
        ])
    }

    /// Thresholds, and how many of the split's samples leave at each exit.
    fn solved(split: &SplitRecords, quotas: &[f64]) -> (Vec<f64>, Vec<usize>) {
        let thresholds = thresholds(split, Score::MaxSoftmax, quotas);
        let rule = Rule::Threshold { score: Score::MaxSoftmax, thresholds: thresholds.clone() };
        let mut leaving = vec![0; quotas.len()];
        for (exit, _) in rule.play(split) {
            leaving[exit] += 1;
        }
        (thresholds, leaving)
    }

    fn f64s<const N: usize>(confidences: [f32; N]) -> Vec<f64> {
        confidences.map(f64::from).to_vec()
    }

    #[test]
    fn thresholds_as_published_code_has_them() {
        assert_eq!(solved(&ten_samples(), &[0.3, 0.3, 0.4]), (f64s([0.7, 0.7]), vec![3, 3, 4]));
        assert_eq!(solved(&ten_samples(), &[0.05, 0.5, 0.45]), (f64s([f32::INFINITY, 0.8]), vec![0, 5, 5]));
    }

    #[test]
    fn no_quota_is_nobody_and_too_few_are_all() {
        assert_eq!(solved(&ten_samples(), &[0.0, 0.0, 1.0]).1, [0, 0, 10]);
        assert_eq!(solved(&ten_samples(), &[1.0, 0.0, 0.0]), (f64s([0.3, f32::INFINITY]), vec![10, 0, 0]));
        // Five as sure as the second leave in its place, and six are to leave of the five that are left.
        let ties =
            split(&[&[0.5, 0.5, 0.5, 0.5, 0.5, 0.4, 0.4, 0.3, 0.2, 0.1], &[0.9, 0.9, 0.9, 0.9, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4], &[1.0; 10]]);
        assert_eq!(solved(&ties, &[0.2, 0.6, 0.2]), (f64s([0.5, 0.4]), vec![5, 5, 0]));
    }

    #[test]
    fn a_whole_number_of_samples_survives_rounding() {
        // 100 times 0.29 is 28.999999999999996 in f64.
        let confidence: Vec<f32> = (0..100_u8).map(|i| f32::from(i) / 128.0).collect();
        let split = split(&[&confidence, &confidence]);
        assert_eq!(solved(&split, &[0.29, 0.71]).1, [29, 71]);
    }

    fn cost(macs: u64) -> ExitCost {
        ExitCost { backbone_macs: macs, branch_macs: 0, branch_params: 0, macs_cascade: macs, macs_selected: macs }
    }

    #[test]
    fn budgets_at_the_ends_and_beyond() {
        let costs = [cost(100), cost(200), cost(400)];
        let leaving = |budget: f64| {
            let ratio = solve(&costs, &ten_samples(), Score::MaxSoftmax, budget).unwrap();
            solved(&ten_samples(), &quotas(ratio, 3)).1
        };
        assert_eq!(leaving(100.0), [10, 0, 0]);
        assert_eq!(leaving(400.0), [0, 0, 10]);
        assert_eq!(leaving(1e9), [0, 0, 10]);
        let refused = solve(&costs, &ten_samples(), Score::MaxSoftmax, 99.0).unwrap_err();
        assert_eq!(refused.to_string(), "no setting costs 99 MACs a sample or less: the cheapest costs 100");
        assert!(solve(&costs, &ten_samples(), Score::MaxSoftmax, f64::NAN).is_err());
    }

    proptest! {
        #[test]
        fn quotas_sum_to_one_and_keep_their_ratio(ratio in 1e-3..1e3_f64, n_exits in 1..12_usize) {
            let quotas = quotas(ratio, n_exits);
            prop_assert!((quotas.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            prop_assert!(quotas.windows(2).all(|pair| (pair[1] - ratio * pair[0]).abs() <= 1e-9 * pair[1].max(ratio * pair[0])));
        }

        /// Of samples that can all be told apart the quotas are met, rounded down; what is over stays for the final exit.
        #[test]
        fn quotas_are_met_to_a_sample(ratio in 0.05..2.0_f64, seed in any::<u64>()) {
            let (n, n_exits) = (200_usize, 4);
            // Multiples modulo a prime are distinct, in an order that depends on the exit.
            let confidence = |exit: u64| -> Vec<f32> {
                let step = 1 + (seed ^ exit.wrapping_mul(0x9E37_79B9_7F4A_7C15)) % 210;
                (0..n as u64).map(|sample| ((sample + 1) * step % 211) as f32 / 256.0).collect()
            };
            let confidences: Vec<Vec<f32>> = (0..n_exits).map(confidence).collect();
            let split = split(&confidences.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let quotas = quotas(ratio, n_exits as usize);
            let (_, leaving) = solved(&split, &quotas);
            for (quota, leaving) in quotas.iter().zip(&leaving).take(n_exits as usize - 1) {
                prop_assert_eq!((quota * n as f64 + ROUNDING).floor() as usize, *leaving);
            }
        }

        /// What a budget leaves unspent is less than a sample at every side exit, sent to the final one, would cost.
        #[test]
        fn a_budget_is_met_to_a_sample_an_exit(budget in 100.0..400.0_f64) {
            let costs = [cost(100), cost(150), cost(250), cost(400)];
            let n = 200_u16;
            let confidence: Vec<f32> = (0..n).map(|i| f32::from(i) / 256.0).collect();
            let split = split(&[&confidence, &confidence, &confidence, &confidence]);
            let ratio = solve(&costs, &split, Score::MaxSoftmax, budget).unwrap();
            let rule = Rule::Threshold { score: Score::MaxSoftmax, thresholds: thresholds(&split, Score::MaxSoftmax, &quotas(ratio, 4)) };
            let spent = play(&costs, &split, &rule).macs_cascade;
            prop_assert!(spent <= budget && budget - spent <= 3.0 * 300.0 / f64::from(n), "{spent} of {budget}");
        }
    }
}
