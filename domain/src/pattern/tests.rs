use super::*;
use proptest::prelude::*;

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
    check(Pattern::List(vec![3.0, 2.0, 1.0]), "shares sum to 6, not to 1", "divide every share by 6");
}

proptest! {
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
