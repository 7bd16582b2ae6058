use proptest::prelude::*;

use super::policy::{MAX_THRESHOLDS, candidates};
use super::*;

/// A cost with the two accountings given.
fn cost(macs_cascade: u64, macs_selected: u64) -> ExitCost {
    ExitCost { backbone_macs: 0, branch_macs: 0, branch_params: 0, macs_cascade, macs_selected }
}

/// Two side exits and the final one, with figures that are easy to add up by hand.
fn three_exits() -> Vec<ExitCost> {
    vec![cost(100, 100), cost(200, 180), cost(400, 360)]
}

/// An exit that says nothing but which class, and how probable that is.
fn exit(prediction: &[u32], confidence: &[f32]) -> ExitRecords {
    let n = prediction.len();
    ExitRecords {
        prediction: prediction.to_vec(),
        confidence: confidence.to_vec(),
        entropy: vec![0.0; n],
        margin: vec![0.0; n],
        loss: vec![0.5; n],
        label_rank: vec![0; n],
        ensemble_prediction: prediction.to_vec(),
        ensemble_confidence: vec![0.0; n],
    }
}

/// Records of these labels; where samples come from does not matter.
fn split(labels: &[u32], exits: Vec<ExitRecords>) -> SplitRecords {
    SplitRecords { indices: (0..labels.len() as u32).collect(), labels: labels.to_vec(), exits }
}

/// Four samples, classes 0 to 3. Exit 0 is right on sample 0; exit 1 on samples 0 and 1; the final exit on 0, 1 and 2.
fn four_samples() -> SplitRecords {
    let exits = vec![
        exit(&[0, 0, 0, 0], &[0.875, 0.5, 0.25, 0.375]),
        exit(&[0, 1, 1, 1], &[0.75, 0.625, 0.5, 0.25]),
        exit(&[0, 1, 2, 2], &[1.0, 1.0, 1.0, 1.0]),
    ];
    split(&[0, 1, 2, 3], exits)
}

fn max_softmax() -> Evaluation {
    Evaluation::new(0.1, vec![Policy::MaxSoftmax])
}

fn settings(evaluated: &Evaluated, policy: &str) -> Vec<f64> {
    evaluated.operating_points.iter().filter(|point| point.policy == policy).map(|point| point.setting).collect()
}

#[test]
fn fixed_points_are_the_exits_themselves() {
    let evaluated = evaluate_with_costs(&three_exits(), &max_softmax(), &four_samples(), &four_samples());
    let fixed: Vec<_> = evaluated.operating_points.iter().take(3).collect();
    assert!(fixed.iter().all(|point| point.policy == "fixed"));
    let rows: Vec<_> = fixed.iter().map(|p| (p.setting, p.accuracy, p.macs_cascade, p.macs_selected, p.exit_shares.clone())).collect();
    assert_eq!(
        rows,
        [
            (0.0, 0.25, 100.0, 100.0, vec![1.0, 0.0, 0.0]),
            (1.0, 0.5, 200.0, 180.0, vec![0.0, 1.0, 0.0]),
            (2.0, 0.75, 400.0, 360.0, vec![0.0, 0.0, 1.0]),
        ]
    );
}

#[test]
fn exit_metrics_are_means_over_their_own_split() {
    let mut test = four_samples();
    test.labels = vec![0, 0, 0, 0];
    test.exits[0].loss = vec![0.0, 1.0, 2.0, 5.0];
    let evaluated = evaluate_with_costs(&three_exits(), &max_softmax(), &four_samples(), &test);
    // Confidences 0.875, 0.5, 0.25 and 0.375 are in bins of their own; on the test split all answers are right, on the calibration split
    // the first one. Every label is recorded to be the most probable class.
    let expected = ExitResult {
        accuracy: 1.0,
        loss: 2.0,
        calibration_accuracy: 0.25,
        calibration_loss: 0.5,
        top5_accuracy: Some(1.0),
        ece: Some((0.125 + 0.5 + 0.75 + 0.625) / 4.0),
        calibration_top5_accuracy: Some(1.0),
        calibration_ece: Some((0.125 + 0.5 + 0.25 + 0.375) / 4.0),
    };
    assert_eq!(evaluated.exits[0], expected);
    assert_eq!(evaluated.exits[2].accuracy, 0.25);
    assert_eq!(evaluated.exits[2].calibration_accuracy, 0.75);
}

/// Thresholds by hand. Where each of the four samples leaves (exit index), accuracy, and the mean of the cascade costs:
/// ```text
/// 0.875  0 2 2 2   3/4   (100 + 3*400) / 4           = 325
/// 0.75   0 2 2 2   the same point
/// 0.625  0 1 2 2   3/4   (100 + 200 + 2*400) / 4     = 275   dominates those above
/// 0.5    0 0 1 2   1/4   (2*100 + 200 + 400) / 4     = 200
/// 0.375  0 0 1 0   1/4   (3*100 + 200) / 4           = 125   dominates 0.5
/// 0.25   0 0 0 0   1/4   100                                 dominates 0.375
/// ```
#[test]
fn thresholds_that_calibration_singles_out_by_hand() {
    let evaluated = evaluate_with_costs(&three_exits(), &max_softmax(), &four_samples(), &four_samples());
    assert_eq!(settings(&evaluated, "max-softmax"), [0.25, 0.625]);
    let cautious = &evaluated.operating_points[4];
    assert_eq!((cautious.accuracy, cautious.macs_cascade), (0.75, 275.0));
    assert_eq!(cautious.macs_selected, f64::from(100 + 180 + 2 * 360) / 4.0);
    assert_eq!(cautious.exit_shares, [0.25, 0.25, 0.5]);
    assert_eq!((cautious.calibration_accuracy, cautious.calibration_macs_cascade), (0.75, 275.0));
}

#[test]
fn of_equal_calibration_points_the_most_cautious_threshold_stays() {
    // Sample 0 leaves at exit 0 under either of 0.75 and 0.875, sample 1 never: one point, two thresholds.
    let split = split(&[0, 1], vec![exit(&[0, 0], &[0.875, 0.125]), exit(&[0, 0], &[0.75, 0.125]), exit(&[0, 1], &[1.0, 1.0])]);
    let evaluated = evaluate_with_costs(&three_exits(), &max_softmax(), &split, &split);
    assert_eq!(settings(&evaluated, "max-softmax"), [0.125, 0.875]);
}

#[test]
fn a_network_without_side_exits_has_its_fixed_point_only() {
    let split = split(&[0, 1], vec![exit(&[0, 0], &[0.9, 0.8])]);
    let evaluated = evaluate_with_costs(&[cost(400, 400)], &max_softmax(), &split, &split);
    assert_eq!(evaluated.operating_points.len(), 1);
    assert_eq!(evaluated.operating_points[0].accuracy, 0.5);
}

#[test]
fn no_policy_leaves_the_fixed_points() {
    let evaluation = Evaluation::new(0.1, vec![]);
    assert_eq!(evaluate_with_costs(&three_exits(), &evaluation, &four_samples(), &four_samples()).operating_points.len(), 3);
}

#[test]
fn many_confidences_are_thinned_to_the_most_thresholds_with_both_ends() {
    let n = 1000_u16;
    let confidence: Vec<f32> = (0..n).map(|i| f32::from(i) / f32::from(n)).collect();
    let prediction = vec![0; usize::from(n)];
    let split = split(&prediction, vec![exit(&prediction, &confidence), exit(&prediction, &confidence)]);
    let thresholds = candidates(Policy::MaxSoftmax, &split);
    assert_eq!(thresholds.len(), MAX_THRESHOLDS);
    assert_eq!(thresholds[0], 0.0);
    assert_eq!(thresholds[MAX_THRESHOLDS - 1], f64::from(999.0_f32 / 1000.0));
    assert!(thresholds.windows(2).all(|pair| pair[0] < pair[1]));
}

/// Five samples, two side exits, with what each policy looks at. The true class is 0 throughout.
fn five_samples() -> SplitRecords {
    let one = |prediction: [u32; 5], entropy: [f32; 5], margin: [f32; 5], ensemble: [u32; 5], ensemble_confidence: [f32; 5]| ExitRecords {
        entropy: entropy.to_vec(),
        margin: margin.to_vec(),
        ensemble_prediction: ensemble.to_vec(),
        ensemble_confidence: ensemble_confidence.to_vec(),
        ..exit(&prediction, &[0.5; 5])
    };
    let exits = vec![
        one([0, 1, 0, 1, 1], [0.25, 0.5, 1.0, 1.0, 0.75], [0.75, 0.5, 0.0, 0.25, 0.25], [0, 1, 0, 1, 1], [0.9, 0.8, 0.5, 0.6, 0.7]),
        one([0, 1, 1, 0, 1], [0.5, 0.25, 0.5, 1.0, 0.75], [0.5, 0.75, 0.5, 0.0, 0.25], [0, 1, 0, 0, 1], [0.9, 0.9, 0.6, 0.5, 0.6]),
        one([0, 0, 1, 0, 0], [0.0; 5], [1.0; 5], [0, 1, 0, 0, 0], [1.0; 5]),
    ];
    split(&[0; 5], exits)
}

/// The exit and the answer of each of the five samples.
#[track_caller]
fn leaves(policy: Policy, setting: f64, expected: [(usize, u32); 5]) {
    let split = five_samples();
    assert_eq!(rule_of(policy, setting, &split).unwrap().play(&split), expected, "{policy:?} {setting}");
}

#[test]
fn policies_by_hand() {
    // No more entropy than the threshold: the first sample at exit 0, with 0.5 the second as well and the third at exit 1.
    leaves(Policy::Entropy, 0.25, [(0, 0), (1, 1), (2, 1), (2, 0), (2, 0)]);
    leaves(Policy::Entropy, 0.5, [(0, 0), (0, 1), (1, 1), (2, 0), (2, 0)]);
    leaves(Policy::Margin, 0.5, [(0, 0), (0, 1), (1, 1), (2, 0), (2, 0)]);
    leaves(Policy::Margin, 0.75, [(0, 0), (1, 1), (2, 1), (2, 0), (2, 0)]);
    // The mean of the softmaxes answers, at the final exit as well: 1 and 0 where that exit alone says 0 and 1.
    leaves(Policy::Ensemble, f64::from(0.9_f32), [(0, 0), (1, 1), (2, 0), (2, 0), (2, 0)]);
    leaves(Policy::Ensemble, 0.95, [(2, 0), (2, 1), (2, 0), (2, 0), (2, 0)]);
    // Nobody before the first exit can disagree with it. With one exit that agrees, exit 1 where both say the same.
    leaves(Policy::Patience, 0.0, [(0, 0), (0, 1), (0, 0), (0, 1), (0, 1)]);
    leaves(Policy::Patience, 1.0, [(1, 0), (1, 1), (2, 1), (2, 0), (1, 1)]);
    leaves(Policy::Patience, 2.0, [(2, 0), (2, 0), (2, 1), (2, 0), (2, 0)]);
}

#[test]
fn where_branches_answer_together_all_of_them_are_paid() {
    let records = Records { calibration: five_samples(), test: five_samples() };
    let ensemble = operating_point(&three_exits(), "ensemble", f64::from(0.9_f32), &records).unwrap();
    // Exits 0, 1, 2, 2, 2 at 100, 200, 400 MACs.
    assert_eq!((ensemble.macs_cascade, ensemble.macs_selected), (300.0, 300.0));
    let margin = operating_point(&three_exits(), "margin", 0.75, &records).unwrap();
    assert_eq!((margin.macs_cascade, margin.macs_selected), (300.0, (100.0 + 180.0 + 3.0 * 360.0) / 5.0));
}

#[test]
fn settings_that_a_policy_does_not_have() {
    let refused = |policy: &str, setting: f64| rule(policy, setting, &five_samples()).unwrap_err().to_string();
    assert_eq!(refused("entrpy", 0.3), "no policy is called `entrpy`");
    assert_eq!(refused("fixed", 3.0), "policy `fixed` has no setting 3: it takes an exit from 0 to 2");
    assert_eq!(refused("patience", 0.5), "policy `patience` has no setting 0.5: it takes a whole number from 0 on");
    assert_eq!(refused("budgeted", 0.0), "policy `budgeted` has no setting 0: it takes a finite number above 0");
    assert_eq!(refused("margin", f64::NAN), "policy `margin` has no setting NaN: it takes a finite number");
}

#[test]
fn every_policy_name_is_read_back() {
    for policy in Policy::ALL {
        assert_eq!(Policy::parse(policy.as_str()), Some(policy));
        assert_eq!(serde_json::to_string(&policy).unwrap(), format!("\"{}\"", policy.as_str()));
    }
}

/// A point that is the same on either split.
fn even_point(macs_cascade: f64, accuracy: f64) -> OperatingPoint {
    point_on_both((macs_cascade, accuracy), (macs_cascade, accuracy))
}

/// A point of a cascade cost and an accuracy on the calibration split and on the test split.
fn point_on_both(calibration: (f64, f64), test: (f64, f64)) -> OperatingPoint {
    let (macs_cascade, accuracy) = test;
    OperatingPoint {
        policy: "fixed".to_owned(),
        setting: 0.0,
        macs_cascade,
        macs_selected: macs_cascade,
        accuracy,
        calibration_accuracy: calibration.1,
        calibration_macs_cascade: calibration.0,
        exit_shares: vec![1.0],
        latency_us: None,
        images_per_second: None,
    }
}

#[test]
fn area_by_hand() {
    // Backbone 100 MACs, so costs 0 to 200; 10 classes. Chance to 50, 0.6 to 100, 0.9 from there on: (50*0.1 + 50*0.6 + 100*0.9) / 200.
    let points = [even_point(100.0, 0.9), even_point(50.0, 0.6)];
    assert!((area(&points, 100, 10) - 0.625).abs() < 1e-15);
    // A worse point at a higher cost, one beyond the range and one that is not a number change nothing.
    let more = [even_point(100.0, 0.9), even_point(50.0, 0.6), even_point(150.0, 0.7), even_point(200.0, 1.0), even_point(60.0, f64::NAN)];
    assert!((area(&more, 100, 10) - 0.625).abs() < 1e-15);
    // Nothing attained: chance throughout. Worse than chance counts as what it is: (10*0.1 + 190*0.05) / 200.
    assert!((area(&[], 100, 4) - 0.25).abs() < 1e-15);
    assert!((area(&[even_point(10.0, 0.05)], 100, 10) - 0.0525).abs() < 1e-15);
}

#[test]
fn the_calibration_split_chooses_what_counts_in_the_area() {
    let check = |points: &[OperatingPoint], expected: f64| {
        let area = area(points, 100, 10);
        assert!((area - expected).abs() < 1e-15, "{area} is not {expected}");
    };
    // Bought at 50 and 100 calibration MACs. That the dearer is worse on the test split is known too late, and so are the test costs.
    let (cheap, dear) = (point_on_both((50.0, 0.6), (70.0, 0.8)), point_on_both((100.0, 0.9), (90.0, 0.7)));
    check(&[dear.clone(), cheap.clone()], (50.0 * 0.1 + 50.0 * 0.8 + 100.0 * 0.7) / 200.0);
    // The best on the test split, but dominated on the calibration split.
    let lucky = point_on_both((60.0, 0.5), (10.0, 1.0));
    check(&[dear.clone(), lucky, cheap.clone()], 0.575);
    // Beyond the range on the calibration split alone, and on the test split alone.
    check(&[dear.clone(), cheap.clone(), point_on_both((200.0, 1.0), (20.0, 1.0))], 0.575);
    check(&[dear.clone(), cheap.clone(), point_on_both((150.0, 1.0), (300.0, 0.9))], (5.0 + 40.0 + 50.0 * 0.7 + 50.0 * 0.9) / 200.0);
    // Equally accurate on the calibration split: the cheaper there; equally cheap as well: the first. Equally cheap alone: the more accurate.
    check(&[point_on_both((100.0, 0.6), (0.0, 1.0)), cheap.clone()], (5.0 + 150.0 * 0.8) / 200.0);
    check(&[cheap.clone(), point_on_both((50.0, 0.6), (50.0, 0.4))], (5.0 + 150.0 * 0.8) / 200.0);
    check(&[point_on_both((50.0, 0.6), (50.0, 0.4)), cheap.clone()], (5.0 + 150.0 * 0.4) / 200.0);
    check(&[cheap.clone(), point_on_both((50.0, 0.7), (50.0, 0.3))], (5.0 + 150.0 * 0.3) / 200.0);
    // No number on the calibration split says nothing.
    check(&[cheap, dear, point_on_both((20.0, f64::NAN), (20.0, 1.0)), point_on_both((f64::NAN, 1.0), (20.0, 1.0))], 0.575);
}

/// The definition word by word: between two neighbouring costs one point is chosen.
fn area_by_definition(points: &[OperatingPoint], most: f64, chance: f64) -> f64 {
    let mut edges: Vec<f64> = points.iter().map(|point| point.calibration_macs_cascade).filter(|cost| *cost < most).collect();
    edges.extend([0.0, most]);
    edges.sort_by(f64::total_cmp);
    let accuracy_at = |budget: f64| {
        let affordable: Vec<_> = points.iter().filter(|point| point.calibration_macs_cascade <= budget).collect();
        let best = affordable.iter().map(|point| point.calibration_accuracy).fold(f64::NEG_INFINITY, f64::max);
        let of_best: Vec<_> = affordable.into_iter().filter(|point| point.calibration_accuracy == best).collect();
        let least = of_best.iter().map(|point| point.calibration_macs_cascade).fold(f64::INFINITY, f64::min);
        of_best.into_iter().find(|point| point.calibration_macs_cascade == least).map_or(chance, |point| point.accuracy)
    };
    edges.windows(2).map(|edge| accuracy_at(edge[0]) * (edge[1] - edge[0])).sum::<f64>() / most
}

const N_EXITS: usize = 3;

/// Splits of four classes. Logits are few whole numbers, so that ties of every kind are common.
fn splits(n_samples: usize) -> impl Strategy<Value = SplitRecords> {
    let logits = prop::collection::vec(prop::collection::vec((-3..4_i8).prop_map(f32::from), 4), N_EXITS);
    prop::collection::vec((0..4_u32, logits), n_samples).prop_map(|samples| {
        let mut split = SplitRecords::new(N_EXITS);
        for (index, (label, logits)) in (0..).zip(samples) {
            split.push(index, label, logits.iter().map(Vec::as_slice));
        }
        split
    })
}

fn reversed(split: &SplitRecords) -> SplitRecords {
    let mut turned = SplitRecords::new(split.exits.len());
    for sample in (0..split.len()).rev() {
        turned.indices.push(split.indices[sample]);
        turned.labels.push(split.labels[sample]);
        for ((exit, of_sample), said) in turned.exits.iter_mut().zip(&split.exits).zip(split.said(sample)) {
            exit.push(&said, of_sample.loss[sample], of_sample.label_rank[sample]);
        }
    }
    turned
}

fn every_policy() -> Evaluation {
    Evaluation { calibration: 0.1, policies: Policy::ALL.to_vec(), latency: false }
}

fn threshold(threshold: f64) -> Rule {
    Rule::Threshold { score: Score::MaxSoftmax, thresholds: vec![threshold; N_EXITS - 1] }
}

proptest! {
    #[test]
    fn shares_sum_to_one_and_costs_stay_between_the_first_and_the_last_exit(calibration in splits(20), test in splits(30)) {
        for point in evaluate_with_costs(&three_exits(), &every_policy(), &calibration, &test).operating_points {
            prop_assert!((point.exit_shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            prop_assert!((100.0..=400.0).contains(&point.macs_cascade));
            prop_assert!((100.0..=400.0).contains(&point.macs_selected));
            prop_assert!(point.macs_selected <= point.macs_cascade);
            prop_assert!((0.0..=1.0).contains(&point.accuracy));
        }
    }

    #[test]
    fn a_threshold_above_every_confidence_is_the_final_exit(split in splits(20)) {
        let played = play(&three_exits(), &split, &threshold(1.5));
        prop_assert_eq!(played.accuracy, metrics::accuracy(&split.exits[2], &split.labels));
        prop_assert_eq!(played.macs_cascade, 400.0);
    }

    #[test]
    fn a_threshold_of_zero_is_the_first_exit(split in splits(20)) {
        let played = play(&three_exits(), &split, &threshold(0.0));
        prop_assert_eq!(played.accuracy, metrics::accuracy(&split.exits[0], &split.labels));
        prop_assert_eq!(played.macs_cascade, 100.0);
    }

    #[test]
    fn settings_do_not_depend_on_the_test_split(calibration in splits(20), test in splits(30), other in splits(7)) {
        let with = |test: &SplitRecords| -> Vec<_> {
            let points = evaluate_with_costs(&three_exits(), &every_policy(), &calibration, test).operating_points;
            points.into_iter().map(|point| (point.policy, point.setting)).collect()
        };
        prop_assert_eq!(with(&test), with(&other));
    }

    #[test]
    fn the_order_of_samples_changes_nothing(calibration in splits(20), test in splits(30)) {
        let straight = evaluate_with_costs(&three_exits(), &every_policy(), &calibration, &test);
        let turned = evaluate_with_costs(&three_exits(), &every_policy(), &reversed(&calibration), &reversed(&test));
        prop_assert_eq!(straight.operating_points, turned.operating_points);
    }

    #[test]
    fn chosen_settings_of_a_policy_do_not_dominate_each_other_on_the_calibration_split(calibration in splits(20)) {
        let evaluated = evaluate_with_costs(&three_exits(), &every_policy(), &calibration, &calibration);
        for policy in Policy::ALL {
            let of_policy = evaluated.operating_points.iter().filter(|point| point.policy == policy.as_str());
            let points: Vec<Point> =
                of_policy.map(|p| Point { cost: p.calibration_macs_cascade, accuracy: p.calibration_accuracy }).collect();
            for a in &points {
                prop_assert!(!points.iter().any(|b| b.dominates(*a)));
            }
            // Rising in cost, so rising in accuracy.
            prop_assert!(points.windows(2).all(|pair| pair[0].cost < pair[1].cost && pair[0].accuracy < pair[1].accuracy));
        }
    }

    #[test]
    fn a_point_by_its_setting_is_the_evaluated_point(calibration in splits(20), test in splits(30)) {
        let points = evaluate_with_costs(&three_exits(), &every_policy(), &calibration, &test).operating_points;
        let records = Records { calibration, test };
        for point in points {
            prop_assert_eq!(operating_point(&three_exits(), &point.policy, point.setting, &records), Ok(point));
        }
    }

    #[test]
    fn with_a_later_setting_no_sample_leaves_earlier(calibration in splits(20)) {
        // Quotas move by whole samples at every exit at once, so that theirs may.
        for policy in Policy::ALL.into_iter().filter(|policy| *policy != Policy::Budgeted) {
            let exits = |setting: f64| -> Vec<usize> {
                rule_of(policy, setting, &calibration).unwrap().play(&calibration).into_iter().map(|(exit, _)| exit).collect()
            };
            let exits: Vec<Vec<usize>> = policy::all_candidates(policy, &calibration).into_iter().map(exits).collect();
            prop_assert!(exits.windows(2).all(|pair| pair[0].iter().zip(&pair[1]).all(|(eager, cautious)| eager <= cautious)));
        }
    }

    #[test]
    fn a_budget_is_kept_and_spent_as_far_as_the_policy_allows(calibration in splits(20), share in 0.0..1.1_f64) {
        let budget = 100.0 + 300.0 * share;
        for policy in Policy::ALL {
            let cost = |setting: f64| play(&three_exits(), &calibration, &rule_of(policy, setting, &calibration).unwrap()).macs_cascade;
            match setting_for_budget(policy, &three_exits(), &calibration, budget) {
                Ok(setting) => {
                    prop_assert!(cost(setting) <= budget);
                    if policy != Policy::Budgeted {
                        let candidates = policy::all_candidates(policy, &calibration);
                        let most = candidates.into_iter().map(cost).filter(|cost| *cost <= budget).fold(0.0, f64::max);
                        prop_assert_eq!(cost(setting), most);
                    }
                }
                Err(error) => prop_assert!(error.cheapest_macs > budget && policy != Policy::Budgeted, "{policy:?}: {error}"),
            }
        }
    }

    #[test]
    fn area_is_as_defined(points in prop::collection::vec(((0..12_u8, 0..5_u8), (0.0..300.0_f64, 0.0..=1.0_f64)), 0..10)) {
        // Few different calibration costs and accuracies, so that ties are common.
        let on_both = |((cost, accuracy), test): ((u8, u8), (f64, f64))| {
            point_on_both((25.0 * f64::from(cost), f64::from(accuracy) / 4.0), test)
        };
        let points: Vec<_> = points.into_iter().map(on_both).collect();
        prop_assert!((area(&points, 100, 4) - area_by_definition(&points, 200.0, 0.25)).abs() < 1e-12);
    }
}
