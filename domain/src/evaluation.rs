//! How results follow from per-sample records: exit metrics, operating points, the area under accuracy-vs-MACs.
//!
//! Settings of a policy are chosen on the calibration split alone; the test split only says what a chosen setting is worth.

use crate::frontier::{Point, non_dominated};
use crate::job::{Evaluation, Policy};
use crate::network::{ExitCost, Network};
use crate::outcome::{ExitResult, OperatingPoint};

/// Thresholds tried on the calibration split: enough for a curve without visible steps, few enough to read as a table.
const MAX_THRESHOLDS: usize = 64;

/// What every exit said of every sample of one split.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitRecords {
    /// The true class of each sample.
    pub labels: Vec<u32>,
    /// One an exit, side exits first to last, then the final exit.
    pub exits: Vec<ExitRecords>,
}

/// What one exit said of each sample of a split.
#[derive(Debug, Clone, PartialEq)]
pub struct ExitRecords {
    /// Most probable class; the lowest index among equals.
    pub prediction: Vec<u32>,
    /// Its softmax probability.
    pub confidence: Vec<f32>,
    /// Cross-entropy, nats.
    pub loss: Vec<f32>,
}

/// Exit metrics and operating points.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// One an exit.
    pub exits: Vec<ExitResult>,
    /// `fixed` points first, then one for each policy setting that the calibration split singles out.
    pub operating_points: Vec<OperatingPoint>,
}

/// Evaluates a trained network. Settings are chosen on `calibration`; accuracies and costs are of `test`.
///
/// # Panics
/// When a split is empty or its records are not one an exit of `network`.
pub fn evaluate(network: &Network, evaluation: &Evaluation, calibration: &SplitRecords, test: &SplitRecords) -> Evaluated {
    evaluate_with_costs(&network.exit_costs(), evaluation, calibration, test)
}

/// Area under accuracy-vs-MACs: the mean over budgets from 0 to twice the backbone's own MACs of the test accuracy that one gets for a budget.
///
/// The calibration split chooses: of the points that cost no more than the budget there (cascade), the most accurate there; of equally
/// accurate ones the cheaper there, then the first. The test accuracy of that point counts, be it what it may, so no luck on the test
/// split is picked out. Below the cheapest point it is chance (1 / classes). Points with a NaN are left out.
pub fn area(points: &[OperatingPoint], backbone_macs: u64, n_classes: usize) -> f64 {
    let most = 2.0 * backbone_macs as f64;
    let is_candidate = |point: &&OperatingPoint| {
        let has_nan = point.accuracy.is_nan() || point.calibration_accuracy.is_nan();
        !has_nan && point.calibration_macs_cascade < most
    };
    let mut candidates: Vec<&OperatingPoint> = points.iter().filter(is_candidate).collect();
    candidates.sort_by(|a, b| a.calibration_macs_cascade.total_cmp(&b.calibration_macs_cascade));

    let mut chosen: Option<&OperatingPoint> = None;
    let mut reached = 0.0;
    let mut sum = 0.0;
    let accuracy = |chosen: Option<&OperatingPoint>| chosen.map_or(1.0 / n_classes as f64, |point| point.accuracy);
    for point in candidates {
        if chosen.is_none_or(|chosen| point.calibration_accuracy > chosen.calibration_accuracy) {
            sum += accuracy(chosen) * (point.calibration_macs_cascade - reached);
            reached = point.calibration_macs_cascade;
            chosen = Some(point);
        }
    }
    (sum + accuracy(chosen) * (most - reached)) / most
}

fn evaluate_with_costs(costs: &[ExitCost], evaluation: &Evaluation, calibration: &SplitRecords, test: &SplitRecords) -> Evaluated {
    for split in [calibration, test] {
        assert_eq!(split.exits.len(), costs.len(), "records are one an exit");
        assert!(!split.labels.is_empty(), "a split to evaluate on has samples");
    }
    let exits = calibration.exits.iter().zip(&test.exits).map(|(on_calibration, on_test)| ExitResult {
        accuracy: accuracy(on_test, &test.labels),
        loss: mean_loss(on_test),
        calibration_accuracy: accuracy(on_calibration, &calibration.labels),
        calibration_loss: mean_loss(on_calibration),
    });

    let point = |policy: &str, setting: f64, rule: &dyn Fn(&SplitRecords) -> Vec<usize>| {
        operating_point(policy, setting, &play(costs, calibration, &rule(calibration)), play(costs, test, &rule(test)))
    };
    let fixed = (0..costs.len()).map(|exit| point("fixed", exit as f64, &|split| vec![exit; split.labels.len()]));
    let by_policy = evaluation.policies.iter().flat_map(|policy| match policy {
        Policy::MaxSoftmax => choose_thresholds(costs, calibration)
            .into_iter()
            .map(|threshold| point("max-softmax", threshold, &|split| leave_when_confident(split, threshold)))
            .collect::<Vec<_>>(),
    });
    Evaluated { exits: exits.collect(), operating_points: fixed.chain(by_policy).collect() }
}

/// The thresholds whose calibration points no other threshold's dominates, rising in cost. Of thresholds with the same calibration point
/// the highest, the most cautious, stays. None where there is no side exit to leave at.
fn choose_thresholds(costs: &[ExitCost], calibration: &SplitRecords) -> Vec<f64> {
    let thresholds = candidate_thresholds(calibration);
    let points: Vec<Point> = thresholds
        .iter()
        .map(|&threshold| {
            let played = play(costs, calibration, &leave_when_confident(calibration, threshold));
            Point { cost: played.macs_cascade, accuracy: played.accuracy }
        })
        .collect();
    let mut chosen: Vec<(Point, f64)> = Vec::new();
    for index in non_dominated(&points) {
        match chosen.last_mut() {
            Some((point, threshold)) if *point == points[index] => *threshold = threshold.max(thresholds[index]),
            _ => chosen.push((points[index], thresholds[index])),
        }
    }
    chosen.into_iter().map(|(_, threshold)| threshold).collect()
}

/// The distinct confidences of all side exits, rising: only at these does a threshold change which samples leave. Where there are more than
/// [`MAX_THRESHOLDS`], evenly spaced ranks among them with the least and the greatest.
fn candidate_thresholds(split: &SplitRecords) -> Vec<f64> {
    let (_, side_exits) = split.exits.split_last().expect("a network has a final exit");
    let mut distinct: Vec<f32> = side_exits.iter().flat_map(|exit| &exit.confidence).copied().filter(|c| !c.is_nan()).collect();
    distinct.sort_by(f32::total_cmp);
    distinct.dedup();
    let n = distinct.len();
    if n <= MAX_THRESHOLDS {
        return distinct.into_iter().map(f64::from).collect();
    }
    (0..MAX_THRESHOLDS).map(|i| f64::from(distinct[i * (n - 1) / (MAX_THRESHOLDS - 1)])).collect()
}

/// The exit at which each sample leaves: the first whose confidence reaches the threshold, the final one for the rest.
fn leave_when_confident(split: &SplitRecords, threshold: f64) -> Vec<usize> {
    let (_, side_exits) = split.exits.split_last().expect("a network has a final exit");
    (0..split.labels.len())
        .map(|sample| {
            let confident = side_exits.iter().position(|exit| f64::from(exit.confidence[sample]) >= threshold);
            confident.unwrap_or(side_exits.len())
        })
        .collect()
}

/// What a split comes to when each sample leaves at its given exit.
struct Played {
    accuracy: f64,
    macs_cascade: f64,
    macs_selected: f64,
    exit_shares: Vec<f64>,
}

fn play(costs: &[ExitCost], split: &SplitRecords, exit_of_sample: &[usize]) -> Played {
    let mut n_leaving = vec![0_u64; costs.len()];
    let mut n_right = 0_u64;
    for (sample, &exit) in exit_of_sample.iter().enumerate() {
        n_leaving[exit] += 1;
        n_right += u64::from(split.exits[exit].prediction[sample] == split.labels[sample]);
    }
    let n = exit_of_sample.len() as f64;
    // Weighted in integers: the sum is exact, so that points which cost the same compare as equal.
    let expected = |macs: fn(&ExitCost) -> u64| {
        let sum: u128 = costs.iter().zip(&n_leaving).map(|(cost, &leaving)| u128::from(macs(cost)) * u128::from(leaving)).sum();
        sum as f64 / n
    };
    Played {
        accuracy: n_right as f64 / n,
        macs_cascade: expected(|cost| cost.macs_cascade),
        macs_selected: expected(|cost| cost.macs_selected),
        exit_shares: n_leaving.iter().map(|&leaving| leaving as f64 / n).collect(),
    }
}

fn operating_point(policy: &str, setting: f64, calibration: &Played, test: Played) -> OperatingPoint {
    OperatingPoint {
        policy: policy.to_owned(),
        setting,
        macs_cascade: test.macs_cascade,
        macs_selected: test.macs_selected,
        accuracy: test.accuracy,
        calibration_accuracy: calibration.accuracy,
        calibration_macs_cascade: calibration.macs_cascade,
        exit_shares: test.exit_shares,
    }
}

fn accuracy(exit: &ExitRecords, labels: &[u32]) -> f64 {
    let n_right = exit.prediction.iter().zip(labels).filter(|(prediction, label)| prediction == label).count();
    n_right as f64 / labels.len() as f64
}

fn mean_loss(exit: &ExitRecords) -> f64 {
    exit.loss.iter().copied().map(f64::from).sum::<f64>() / exit.loss.len() as f64
}

#[cfg(test)]
mod tests;
