use super::*;
use proptest::prelude::*;

/// Shares over exits that lie evenly in the backbone.
fn shares(pattern: &Pattern, n_exits: usize) -> Result<Vec<f64>, PatternError> {
    let done: Vec<f64> = (1..=n_exits).map(|exit| exit as f64 / (n_exits + 1) as f64).collect();
    allot(pattern, &done).map(|allotment| match allotment {
        Allotment::SideExits(shares) => shares,
        other => panic!("{other:?} has no shares"),
    })
}

fn assert_close(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() < 5e-6, "{got} is not {want}");
    }
}

#[test]
fn six_exits_at_slope_three_fifths() {
    // (1 - 0.6 u) / 6 for u = -1, -0.6, -0.2, 0.2, 0.6, 1.
    let decreasing = shares(&Pattern::Decreasing(0.6), 6).unwrap();
    assert_close(&decreasing, &[0.26667, 0.22667, 0.18667, 0.14667, 0.10667, 0.06667]);
    let increasing = shares(&Pattern::Increasing(0.6), 6).unwrap();
    assert_close(&increasing, &[0.06667, 0.10667, 0.14667, 0.18667, 0.22667, 0.26667]);
}

#[test]
fn the_steepest_slope_leaves_the_smallest_share_nothing() {
    assert_eq!(shares(&Pattern::Decreasing(1.0), 2).unwrap(), [1.0, 0.0]);
    assert_eq!(shares(&Pattern::Increasing(1.0), 2).unwrap(), [0.0, 1.0]);
}

#[test]
fn a_single_exit_gets_everything_whatever_the_slope() {
    for pattern in [Pattern::Constant, Pattern::Increasing(0.7), Pattern::Decreasing(1.0), Pattern::List(vec![1.0])] {
        assert_eq!(shares(&pattern, 1).unwrap(), [1.0]);
    }
}

#[test]
fn slopes_outside_the_range_are_refused() {
    for slope in [0.0, -0.0, -0.6, 1.000_001, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(shares(&Pattern::Increasing(slope), 3), Err(PatternError::Slope(slope)));
        assert_eq!(shares(&Pattern::Decreasing(slope), 3), Err(PatternError::Slope(slope)));
    }
    assert!(matches!(shares(&Pattern::Decreasing(f64::NAN), 3), Err(PatternError::Slope(nan)) if nan.is_nan()));
}

#[test]
fn lists_are_checked_for_length_sign_and_sum() {
    let list = |shares_given: &[f64]| shares(&Pattern::List(shares_given.to_vec()), 3);
    assert_eq!(list(&[0.5, 0.25, 0.25]).unwrap(), [0.5, 0.25, 0.25]);
    assert_eq!(list(&[0.333_333; 3]).unwrap(), [0.333_333; 3]);
    assert_eq!(list(&[0.5, 0.5]), Err(PatternError::Length { n_shares: 2, n_exits: 3 }));
    assert_eq!(list(&[]), Err(PatternError::Length { n_shares: 0, n_exits: 3 }));
    assert_eq!(list(&[1.5, -0.5, 0.0]), Err(PatternError::Share(-0.5)));
    assert_eq!(list(&[f64::INFINITY, 0.0, 0.0]), Err(PatternError::Share(f64::INFINITY)));
    assert!(matches!(list(&[f64::NAN, 0.5, 0.5]), Err(PatternError::Share(nan)) if nan.is_nan()));
    assert_eq!(list(&[0.5, 0.25, 0.5]), Err(PatternError::Sum(1.25)));
    assert_eq!(list(&[0.0; 3]), Err(PatternError::Sum(0.0)));
    assert_eq!(list(&[f64::MAX; 3]), Err(PatternError::Sum(f64::INFINITY)));
    assert!(list(&[0.333_33; 3]).is_err(), "1e-5 short of 1 is more than a rounding");
}

/// The worked examples of the definition, to five digits.
#[test]
fn six_exits_in_geometric_steps() {
    let falling = shares(&Pattern::Geometric(-1.5), 6).unwrap();
    assert_close(&falling, &[0.31051, 0.23003, 0.17041, 0.12624, 0.09352, 0.06928]);
    // The logarithm of the last over the first is the number in the pattern.
    let rising = shares(&Pattern::Geometric(2.0), 4).unwrap();
    assert!((rising[3] / rising[0] - 2.0_f64.exp()).abs() < 1e-12);
}

#[test]
fn remaining_work_is_what_the_backbone_has_still_to_do() {
    // 3/4, 1/2 and 1/4 remain: 3 : 2 : 1, squared 9 : 4 : 1, inverted 2 : 3 : 6.
    assert_close(&shares(&Pattern::RemainingWork(1.0), 3).unwrap(), &[3.0 / 6.0, 2.0 / 6.0, 1.0 / 6.0]);
    assert_close(&shares(&Pattern::RemainingWork(2.0), 3).unwrap(), &[9.0 / 14.0, 4.0 / 14.0, 1.0 / 14.0]);
    assert_close(&shares(&Pattern::RemainingWork(-1.0), 3).unwrap(), &[2.0 / 11.0, 3.0 / 11.0, 6.0 / 11.0]);
    assert_eq!(allot(&Pattern::RemainingWork(1.0), &[1.0]), Err(PatternError::NothingRemains));
    assert_eq!(allot(&Pattern::RemainingWork(-1.0), &[0.5, 1.0]), Err(PatternError::NothingRemains));
}

#[test]
fn humps_and_us_over_six_exits() {
    // u^2 is 1, 0.36, 0.04 and its mirror, its mean 7/15.
    let mean = 7.0 / 15.0;
    let weights = [1.0 - (1.0 - mean), 1.0 - (0.36 - mean), 1.0 - (0.04 - mean)].map(|weight| weight / 6.0);
    assert_close(&shares(&Pattern::Hump(1.0), 6).unwrap(), &[weights[0], weights[1], weights[2], weights[2], weights[1], weights[0]]);
    // A U that leaves the four inner exits nothing, and a hump that leaves the two ends nothing.
    assert_eq!(shares(&Pattern::Hump(-9.5), 6).unwrap(), [0.5, 0.0, 0.0, 0.0, 0.0, 0.5]);
    let hump = shares(&Pattern::Hump(2.0), 6).unwrap();
    assert_eq!((hump[0], hump[5]), (0.0, 0.0));
    // 1 - 2 (0.36 - 7/15) and 1 - 2 (0.04 - 7/15) are 1.21333 and 1.85333.
    assert_close(&hump[1..3], &[0.197_83, 0.302_17]);
    // With two exits both stand at the ends.
    assert_eq!(shares(&Pattern::Hump(-3.0), 2).unwrap(), [0.5, 0.5]);
}

#[test]
fn a_single_exit_is_counted_from_one() {
    assert_eq!(shares(&Pattern::Single(2), 3).unwrap(), [0.0, 1.0, 0.0]);
    for exit in [0, 4, u32::MAX] {
        assert_eq!(shares(&Pattern::Single(exit), 3), Err(PatternError::NoSuchExit { exit, n_exits: 3 }));
    }
}

/// The gaps between cuts computed with Python's hashlib, as the definition says.
#[test]
fn random_shares_are_those_of_an_independent_program() {
    assert_eq!(shares(&Pattern::Random(0), 3).unwrap(), [0.096_123_529_124_341_63, 0.033_150_593_083_672_85, 0.870_725_877_791_985_5]);
    assert_eq!(
        shares(&Pattern::Random(7), 4).unwrap(),
        [0.267_054_618_408_197_8, 0.010_125_896_000_537_815, 0.009_623_829_671_252_304, 0.713_195_655_920_012_1]
    );
    assert_eq!(shares(&Pattern::Random(u64::MAX), 2).unwrap(), [0.640_568_253_608_746_1, 0.359_431_746_391_253_86]);
}

#[test]
fn random_shares_are_spread_evenly_over_the_simplex() {
    // Of a Dirichlet distribution with three ones, a share has mean 1/3 and variance 1/18.
    let drawn: Vec<Vec<f64>> = (0..4000).map(|seed| shares(&Pattern::Random(seed), 3).unwrap()).collect();
    for exit in 0..3 {
        let mean = drawn.iter().map(|shares| shares[exit]).sum::<f64>() / 4000.0;
        let variance = drawn.iter().map(|shares| (shares[exit] - 1.0 / 3.0).powi(2)).sum::<f64>() / 4000.0;
        // Five standard errors: 5 * 0.2357 / 63.2, and a fifth of the variance.
        assert!((mean - 1.0 / 3.0).abs() < 0.0187 && (variance - 1.0 / 18.0).abs() < 0.0067, "{exit}: {mean}, {variance}");
    }
}

#[test]
fn numbers_out_of_their_range_are_refused() {
    for number in [0.0, -0.0, 10.1, -10.1, f64::INFINITY] {
        assert_eq!(shares(&Pattern::Geometric(number), 3), Err(PatternError::LogRatio(number)));
        assert_eq!(shares(&Pattern::RemainingWork(number), 3), Err(PatternError::Power(number)));
        assert_eq!(shares(&Pattern::Hump(number), 3), Err(PatternError::Curvature(number)));
    }
    assert!(matches!(shares(&Pattern::Geometric(f64::NAN), 3), Err(PatternError::LogRatio(nan)) if nan.is_nan()));
}

#[test]
fn the_final_classifier_and_published_branches_have_no_shares() {
    assert_eq!(allot(&Pattern::FinalOnly, &[0.5]), Ok(Allotment::FinalHead));
    assert_eq!(allot(&Pattern::Own, &[0.5]), Ok(Allotment::OwnBranches));
}

#[test]
fn errors_name_the_value_and_the_way_out() {
    let check = |pattern: Pattern, message: &str, hint: &str| {
        let error = shares(&pattern, 3).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.hint().as_str()), (message, hint));
    };
    check(Pattern::Increasing(0.0), "a slope of 0 is not above 0 and at most 1", "a slope of 0 is the pattern `constant`");
    check(
        Pattern::Increasing(-0.6),
        "a slope of -0.6 is not above 0 and at most 1",
        "for the opposite direction swap `increasing` and `decreasing`",
    );
    check(
        Pattern::List(vec![0.5, 0.5]),
        "a list of 2 shares does not fit 3 side exits",
        "give 3 shares; the final exit has none, its classifier is part of the backbone",
    );
    check(
        Pattern::Geometric(0.0),
        "a geometric pattern of 0 is not between -10 and 10 and other than 0",
        "at 0 it is the pattern `constant`",
    );
    check(
        Pattern::Single(4),
        "there is no side exit 4 among 3",
        "side exits count from 1 to 3; the final exit has the pattern `final-only`",
    );
    check(Pattern::List(vec![3.0, 2.0, 1.0]), "shares sum to 6, not to 1", "divide every share by 6");
}

fn any_pattern() -> impl Strategy<Value = Pattern> {
    let sign = prop::sample::select(vec![-1.0, 1.0]);
    prop_oneof![
        Just(Pattern::Constant),
        (1e-9..=1.0).prop_map(Pattern::Increasing),
        (1e-9..=1.0).prop_map(Pattern::Decreasing),
        (1e-9..=10.0, sign.clone()).prop_map(|(size, sign)| Pattern::Geometric(size * sign)),
        (1e-9..=10.0, sign.clone()).prop_map(|(size, sign)| Pattern::RemainingWork(size * sign)),
        (1e-9..=10.0, sign).prop_map(|(size, sign)| Pattern::Hump(size * sign)),
        any::<u64>().prop_map(Pattern::Random),
    ]
}

proptest! {
    #[test]
    fn every_pattern_shares_out_everything_and_takes_nothing_away(pattern in any_pattern(), n_exits in 1_usize..60) {
        let shares = shares(&pattern, n_exits).unwrap();
        prop_assert_eq!(shares.len(), n_exits);
        prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        prop_assert!(shares.iter().all(|share| *share >= 0.0));
    }

    #[test]
    fn geometric_patterns_mirror_each_other_to_the_last_bit(log_ratio in 1e-9..=10.0, n_exits in 1_usize..60) {
        let mut rising = shares(&Pattern::Geometric(log_ratio), n_exits).unwrap();
        let falling = shares(&Pattern::Geometric(-log_ratio), n_exits).unwrap();
        rising.reverse();
        prop_assert_eq!(rising, falling);
    }

    #[test]
    fn geometric_and_remaining_work_are_monotone_by_their_sign(size in 1e-3..=10.0, n_exits in 2_usize..40) {
        let rising = |pattern| shares(&pattern, n_exits).unwrap().is_sorted_by(|earlier, later| earlier < later);
        let falling = |pattern| shares(&pattern, n_exits).unwrap().is_sorted_by(|earlier, later| earlier > later);
        prop_assert!(rising(Pattern::Geometric(size)) && falling(Pattern::Geometric(-size)));
        prop_assert!(falling(Pattern::RemainingWork(size)) && rising(Pattern::RemainingWork(-size)));
    }

    #[test]
    fn humps_are_symmetric_and_highest_where_they_should_be(size in 1e-6..=10.0_f64, n_exits in 3_usize..60) {
        for (curvature, top) in [(size, n_exits / 2), (-size, 0)] {
            let shares = shares(&Pattern::Hump(curvature), n_exits).unwrap();
            let mut mirrored = shares.clone();
            mirrored.reverse();
            prop_assert_eq!(&mirrored, &shares);
            prop_assert!(shares.iter().all(|share| *share <= shares[top]));
        }
    }

    #[test]
    fn every_family_comes_to_constant_near_zero(n_exits in 1_usize..60) {
        let constant = shares(&Pattern::Constant, n_exits).unwrap();
        for nearly in [Pattern::Geometric(1e-9), Pattern::RemainingWork(1e-9), Pattern::Hump(1e-9), Pattern::Hump(-1e-9)] {
            let nearly = shares(&nearly, n_exits).unwrap();
            prop_assert!(constant.iter().zip(&nearly).all(|(a, b)| (a - b).abs() < 1e-8));
        }
    }

    #[test]
    fn random_shares_are_a_function_of_the_seed(seed: u64, n_exits in 2_usize..20) {
        let drawn = shares(&Pattern::Random(seed), n_exits).unwrap();
        prop_assert_eq!(&drawn, &shares(&Pattern::Random(seed), n_exits).unwrap());
        prop_assert_ne!(drawn, shares(&Pattern::Random(seed ^ 1), n_exits).unwrap());
    }

    #[test]
    fn shares_sum_to_one_and_none_is_negative(slope in 1e-9..=1.0, n_exits in 1_usize..60) {
        for pattern in [Pattern::Constant, Pattern::Increasing(slope), Pattern::Decreasing(slope)] {
            let shares = shares(&pattern, n_exits).unwrap();
            prop_assert_eq!(shares.len(), n_exits);
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            prop_assert!(shares.iter().all(|share| *share >= 0.0));
        }
    }

    #[test]
    fn increasing_mirrors_decreasing_to_the_last_bit(slope in 1e-9..=1.0, n_exits in 1_usize..60) {
        let mut mirrored = shares(&Pattern::Increasing(slope), n_exits).unwrap();
        let decreasing = shares(&Pattern::Decreasing(slope), n_exits).unwrap();
        prop_assert!((lean(&mirrored) + lean(&decreasing)).abs() < f64::MIN_POSITIVE);
        mirrored.reverse();
        prop_assert_eq!(mirrored, decreasing);
    }

    #[test]
    fn increasing_rises_and_decreasing_falls(slope in 1e-6..=1.0, n_exits in 2_usize..60) {
        let increasing = shares(&Pattern::Increasing(slope), n_exits).unwrap();
        prop_assert!(increasing.is_sorted_by(|earlier, later| earlier < later));
        prop_assert!(lean(&increasing) > 0.0);
        let decreasing = shares(&Pattern::Decreasing(slope), n_exits).unwrap();
        prop_assert!(decreasing.is_sorted_by(|earlier, later| earlier > later));
        prop_assert!(lean(&decreasing) < 0.0);
    }

    #[test]
    fn constant_is_the_limit_of_both_slopes(n_exits in 1_usize..60) {
        let constant = shares(&Pattern::Constant, n_exits).unwrap();
        prop_assert!(constant.iter().all(|share| share.to_bits() == constant[0].to_bits()));
        prop_assert!(lean(&constant).abs() < f64::MIN_POSITIVE);
        for nearly in [Pattern::Increasing(1e-9), Pattern::Decreasing(1e-9)] {
            let nearly = shares(&nearly, n_exits).unwrap();
            prop_assert!(constant.iter().zip(&nearly).all(|(a, b)| (a - b).abs() < 1e-9));
        }
    }

    #[test]
    fn no_list_panics(list in prop::collection::vec(prop::num::f64::ANY, 0..6), n_exits in 1_usize..6) {
        if let Ok(shares) = shares(&Pattern::List(list), n_exits) {
            prop_assert_eq!(shares.len(), n_exits);
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() <= SUM_TOLERANCE);
        }
    }
}
