//! How results follow from per-sample records: exit metrics, operating points, the area under accuracy-vs-MACs.
//!
//! Settings of a policy are chosen on the calibration split alone; the test split only says what a chosen setting is worth.
//!
//! - [`Records`], [`Listener`]: what exits say of samples. [`Rule`], [`Score`]: policies. [`quota`]: budgeted batch classification.
//! - [`evaluate`]: metrics and operating points; [`operating_point`] and [`setting_for_budget`]: one point at a time.
//! - [`area`]: one number for the whole trade.

mod metrics;
mod policy;
pub mod quota;
mod records;

pub use metrics::{CALIBRATION_BINS, calibration_error, top_accuracy};
pub use policy::{FIXED, Rule, RuleError, Score, rule, rule_of};
pub use records::{ExitRecords, Listener, Records, Said, SplitRecords};

use crate::frontier::{Point, non_dominated};
use crate::job::{Evaluation, Policy};
use crate::network::{ExitCost, Network};
use crate::outcome::{ExitResult, OperatingPoint};

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

/// The operating point of one setting of a policy, or of `fixed`: what [`evaluate`] says of it, whether or not it would choose it.
///
/// # Errors
/// When there is no such policy, or it has no such setting.
///
/// # Panics
/// When a split is empty or its records are not one an exit.
pub fn operating_point(costs: &[ExitCost], policy: &str, setting: f64, records: &Records) -> Result<OperatingPoint, RuleError> {
    check(costs, &records.calibration, &records.test);
    let rule = rule(policy, setting, &records.calibration)?;
    Ok(point(costs, policy, setting, &rule, &records.calibration, &records.test))
}

/// A budget that no setting meets.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("no setting costs {budget_macs} MACs a sample or less: the cheapest costs {cheapest_macs}")]
pub struct BudgetError {
    /// The budget.
    pub budget_macs: f64,
    /// What the cheapest setting costs on the calibration split, MACs a sample, cascade.
    pub cheapest_macs: f64,
}

/// The most cautious setting of a policy with which a sample of the calibration split is expected to cost `budget_macs` or less (cascade).
///
/// # Errors
/// When there is none.
pub fn setting_for_budget(policy: Policy, costs: &[ExitCost], calibration: &SplitRecords, budget_macs: f64) -> Result<f64, BudgetError> {
    if policy == Policy::Budgeted {
        return quota::solve(costs, calibration, Score::MaxSoftmax, budget_macs);
    }
    let settings = policy::all_candidates(policy, calibration);
    let cost = |setting: f64| {
        let rule = rule_of(policy, setting, calibration).expect("candidates are settings");
        play(costs, calibration, &rule).macs_cascade
    };
    // Costs rise with caution, so the affordable settings come first.
    let n_affordable = settings.partition_point(|&setting| cost(setting) <= budget_macs);
    match n_affordable.checked_sub(1) {
        Some(last) => Ok(settings[last]),
        None => Err(BudgetError {
            budget_macs,
            cheapest_macs: settings.first().map_or_else(|| costs[costs.len() - 1].macs_cascade as f64, |&setting| cost(setting)),
        }),
    }
}

fn check(costs: &[ExitCost], calibration: &SplitRecords, test: &SplitRecords) {
    for split in [calibration, test] {
        assert_eq!(split.exits.len(), costs.len(), "records are one an exit");
        assert!(!split.is_empty(), "a split to evaluate on has samples");
    }
}

fn evaluate_with_costs(costs: &[ExitCost], evaluation: &Evaluation, calibration: &SplitRecords, test: &SplitRecords) -> Evaluated {
    check(costs, calibration, test);
    let fixed = (0..costs.len()).map(|exit| point(costs, FIXED, exit as f64, &Rule::Fixed(exit), calibration, test));
    let by_policy = evaluation.policies.iter().flat_map(|&policy| {
        choose_settings(policy, costs, calibration)
            .into_iter()
            .map(move |(setting, rule)| point(costs, policy.as_str(), setting, &rule, calibration, test))
    });
    Evaluated { exits: metrics::exit_results(calibration, test), operating_points: fixed.chain(by_policy).collect() }
}

/// The settings whose calibration points no other setting's dominates, rising in cost. Of settings with the same calibration point the
/// most cautious stays. None where there is no side exit to leave at.
fn choose_settings(policy: Policy, costs: &[ExitCost], calibration: &SplitRecords) -> Vec<(f64, Rule)> {
    let mut settings: Vec<Option<(f64, Rule)>> = policy::candidates(policy, calibration)
        .into_iter()
        .map(|setting| Some((setting, rule_of(policy, setting, calibration).expect("candidates are settings"))))
        .collect();
    let points: Vec<Point> = settings
        .iter()
        .flatten()
        .map(|(_, rule)| {
            let played = play(costs, calibration, rule);
            Point { cost: played.macs_cascade, accuracy: played.accuracy }
        })
        .collect();
    let mut chosen: Vec<(Point, usize)> = Vec::new();
    for index in non_dominated(&points) {
        match chosen.last_mut() {
            // Candidates become more cautious, and equal points keep their order.
            Some((point, last)) if *point == points[index] => *last = index,
            _ => chosen.push((points[index], index)),
        }
    }
    chosen.into_iter().filter_map(|(_, index)| settings[index].take()).collect()
}

/// What a split comes to under a rule.
struct Played {
    accuracy: f64,
    macs_cascade: f64,
    macs_selected: f64,
    exit_shares: Vec<f64>,
}

fn play(costs: &[ExitCost], split: &SplitRecords, rule: &Rule) -> Played {
    let mut n_leaving = vec![0_u64; costs.len()];
    let mut n_right = 0_u64;
    for ((exit, answer), label) in rule.play(split).into_iter().zip(&split.labels) {
        n_leaving[exit] += 1;
        n_right += u64::from(answer == *label);
    }
    let n = split.len() as f64;
    // Weighted in integers: the sum is exact, so that points which cost the same compare as equal.
    let expected = |macs: fn(&ExitCost) -> u64| {
        let sum: u128 = costs.iter().zip(&n_leaving).map(|(cost, &leaving)| u128::from(macs(cost)) * u128::from(leaving)).sum();
        sum as f64 / n
    };
    Played {
        accuracy: n_right as f64 / n,
        macs_cascade: expected(|cost| cost.macs_cascade),
        // Where all exits on the way answer together, no branch on the way is one that does not.
        macs_selected: expected(if rule.answers_together() { |cost| cost.macs_cascade } else { |cost| cost.macs_selected }),
        exit_shares: n_leaving.iter().map(|&leaving| leaving as f64 / n).collect(),
    }
}

fn point(costs: &[ExitCost], policy: &str, setting: f64, rule: &Rule, calibration: &SplitRecords, test: &SplitRecords) -> OperatingPoint {
    let (on_calibration, on_test) = (play(costs, calibration, rule), play(costs, test, rule));
    OperatingPoint {
        policy: policy.to_owned(),
        setting,
        macs_cascade: on_test.macs_cascade,
        macs_selected: on_test.macs_selected,
        accuracy: on_test.accuracy,
        calibration_accuracy: on_calibration.accuracy,
        calibration_macs_cascade: on_calibration.macs_cascade,
        exit_shares: on_test.exit_shares,
        latency_us: None,
        images_per_second: None,
    }
}

#[cfg(test)]
mod tests;
