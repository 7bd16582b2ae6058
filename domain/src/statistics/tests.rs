//! Calculations by hand and published examples. SciPy is held against the same functions on hundreds of samples in `tests/tests/scipy.rs`.

use proptest::collection::vec;
use proptest::prelude::*;

use super::bootstrap::Method;
use super::friedman::friedman;
use super::nemenyi::{critical_difference, p_value, range_quantile, range_tail};
use super::wilcoxon::{self, SignedRank, signed_rank, smallest_p};
use super::*;

fn near(value: f64, expected: f64, tolerance: f64) -> bool {
    (value - expected).abs() <= tolerance
}

#[test]
fn means_and_deviations() {
    // Squared distances from 5: 9 + 1 + 1 + 1 + 0 + 0 + 4 + 16 = 32.
    let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
    assert_eq!(mean(&values), 5.0);
    assert_eq!(sample_deviation(&values), Ok((32.0_f64 / 7.0).sqrt()));
    assert_eq!(sample_deviation(&[1.0, 3.0]), Ok(2.0_f64.sqrt()));
}

#[test]
fn one_value_has_no_spread_that_could_be_told() {
    let too_few = Missing::TooFew { what: "values", need: 2, have: 1 };
    assert_eq!(sample_deviation(&[0.5]), Err(too_few));
    let summary = summary(&[0.5], &Bootstrap::default()).unwrap();
    assert_eq!((summary.n, summary.mean, summary.deviation, summary.interval), (1, 0.5, None, Err(too_few)));
    assert_eq!(too_few.to_string(), "needs 2 or more values, there is 1");
}

#[test]
fn a_summary_of_nothing_says_so() {
    let missing = summary(&[], &Bootstrap::default()).unwrap_err();
    assert_eq!(missing.to_string(), "needs 1 or more values, there are 0");
}

#[test]
fn ties_share_their_ranks() {
    assert_eq!(ranks(&[10.0, 20.0, 20.0, 5.0]), [2.0, 3.5, 3.5, 1.0]);
    assert_eq!(ranks(&[0.0, -0.0, 0.0]), [2.0; 3]);
    assert!(ranks(&[]).is_empty());
}

#[test]
fn many_questions_are_allowed_for() {
    // 4 x 0.005, 3 x 0.01, 2 x 0.03, then 0.04, which is raised to the one before.
    let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
    assert!(adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]).all(|(p, expected)| near(*p, expected, 1e-15)), "{adjusted:?}");
    assert_eq!(holm(&[0.7, 0.8]), [1.0, 1.0]);
    assert!(holm(&[]).is_empty());
}

#[test]
fn signed_ranks_are_counted() {
    let test = |differences: &[f64]| signed_rank(differences).unwrap();
    let exact = wilcoxon::Method::Exact;
    // All of five to one side: 2 of 32 ways.
    assert!(test(&[0.1]).minus.is_sign_positive());
    assert_eq!(test(&[0.1, 0.2, 0.3, 0.4, 0.5]), SignedRank { plus: 15.0, minus: 0.0, p: 0.0625, method: exact });
    // Of the subsets of 1, 2, 3, 4 seven sum to 4 or less: {}, 1, 2, 3, 4, 1 + 2, 1 + 3.
    assert_eq!(test(&[1.0, 2.0, 3.0, -4.0]), SignedRank { plus: 6.0, minus: 4.0, p: 0.875, method: exact });
    // Ranks 1, 2.5, 2.5, 4; of their subsets four sum to 2.5 or less: {}, 1, and each 2.5.
    assert_eq!(test(&[1.0, 2.0, -2.0, 3.0]), SignedRank { plus: 7.5, minus: 2.5, p: 0.5, method: exact });
    // Zeros are left out.
    assert_eq!(test(&[0.0, 1.0, 2.0, 0.0, 3.0]), SignedRank { plus: 6.0, minus: 0.0, p: 0.25, method: exact });
}

#[test]
fn darwins_maize_has_the_published_p_value() {
    // Fisher, The Design of Experiments (1935), chapter 3; the p-value is in the documentation of SciPy's `wilcoxon`.
    let differences = [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75].map(f64::from);
    let test = signed_rank(&differences).unwrap();
    assert_eq!((test.plus, test.minus, test.p), (96.0, 24.0, 0.041_259_765_625));
}

#[test]
fn many_or_tied_differences_have_a_normal_p_value() {
    // 14 ones, of which 11 positive: every rank 7.5, so the smaller sum is 22.5 and the middle 52.5. The variance is
    // (14 x 15 x 29 - (14^3 - 14) / 2) / 24 = 4725 / 24 = 196.875, and z = -30 / 14.0312 = -2.13809.
    let differences: Vec<f64> = (0..14).map(|index| if index < 11 { 1.0 } else { -1.0 }).collect();
    let test = signed_rank(&differences).unwrap();
    assert_eq!(test.method, wilcoxon::Method::Normal);
    // Twice the normal tail beyond 2.13809.
    assert!(near(test.p, 0.032_509, 1e-6), "{}", test.p);
    let plain = |n: u32| signed_rank(&(1..=n).map(f64::from).collect::<Vec<_>>()).unwrap().method;
    assert_eq!((plain(50), plain(51)), (wilcoxon::Method::Exact, wilcoxon::Method::Normal));
}

#[test]
fn differences_that_are_all_zero_have_no_test() {
    let missing = signed_rank(&[0.0, -0.0]).unwrap_err();
    assert_eq!(missing.to_string(), "needs 1 or more differences other than zero, there are 0");
}

#[test]
fn the_smallest_p_value_is_that_of_one_side() {
    for n in 1..20_u32 {
        let one_sided: Vec<f64> = (1..=n).map(f64::from).collect();
        assert_eq!(smallest_p(n as usize), signed_rank(&one_sided).unwrap().p, "{n}");
    }
    assert_eq!((smallest_p(0), smallest_p(usize::MAX)), (1.0, 0.0));
}

#[test]
fn effects_are_in_ranks_and_in_deviations() {
    let differences = [1.0, 2.0, 3.0, -4.0];
    // (6 - 4) / 10; mean 0.5, squared distances 0.25 + 2.25 + 6.25 + 20.25 = 29.
    assert_eq!(effect::rank_biserial(&signed_rank(&differences).unwrap()), 0.2);
    assert!(near(effect::cohens_dz(&differences).unwrap(), 0.5 / (29.0_f64 / 3.0).sqrt(), 1e-15));
    assert_eq!(effect::cohens_dz(&[0.1, 0.1, 0.1]), Err(Missing::NoSpread("differences")));
}

/// Areas under ROC curves of four variants of C4.5 on 14 data sets.
///
/// # Source
/// Demšar: Statistical comparisons of classifiers over multiple data sets. JMLR 7 (2006), table 6. Where the table has 0.975 twice and gives
/// them different ranks, the first is taken to be larger by what rounding hid.
const DEMSAR: [[f64; 4]; 14] = [
    [0.763, 0.768, 0.771, 0.798],
    [0.599, 0.591, 0.590, 0.569],
    [0.954, 0.971, 0.968, 0.967],
    [0.628, 0.661, 0.654, 0.657],
    [0.882, 0.888, 0.886, 0.898],
    [0.936, 0.931, 0.916, 0.931],
    [0.661, 0.668, 0.609, 0.685],
    [0.583, 0.583, 0.563, 0.625],
    [0.775, 0.838, 0.866, 0.875],
    [1.000, 1.000, 1.000, 1.000],
    [0.940, 0.962, 0.965, 0.962],
    [0.619, 0.666, 0.614, 0.669],
    [0.972, 0.981, 0.9751, 0.975],
    [0.957, 0.978, 0.946, 0.970],
];

#[test]
fn demsars_example_has_the_published_ranks_and_statistics() {
    let test = friedman(&DEMSAR.map(Vec::from)).unwrap();
    assert!(test.mean_ranks.iter().zip([3.143, 2.000, 2.893, 1.964]).all(|(rank, published)| near(*rank, published, 5e-4)), "{test:?}");
    // He does not correct for ties: two pairs and a pair (3 x 6) and four of a kind (60) of 14 x 4 x 15.
    let uncorrected = test.chi_squared * (1.0 - 78.0 / 840.0);
    assert!(near(uncorrected, 9.28, 5e-3), "{uncorrected}");
    let f = 13.0 * uncorrected / (14.0 * 3.0 - uncorrected);
    assert!(near(f, 3.69, 5e-3), "{f}");
    let corrected = test.iman_davenport.unwrap().f;
    assert!(near(corrected, 13.0 * test.chi_squared / (42.0 - test.chi_squared), 1e-12), "{corrected}");
    // 3.2.2: 2.569 sqrt(4 x 5 / (6 x 14)) = 1.25, and 1.12 at 0.10.
    assert!(near(critical_difference(4, 14, 0.05), 1.25, 5e-3));
    assert!(near(critical_difference(4, 14, 0.10), 1.12, 5e-3));
}

#[test]
fn blocks_that_agree_in_full_have_the_largest_statistic() {
    // n (k - 1) = 8, with which the F statistic is infinite.
    let test = friedman(&vec![vec![0.3, 0.2, 0.1]; 4]).unwrap();
    assert!(near(test.chi_squared, 8.0, 1e-12));
    assert_eq!((test.mean_ranks, test.iman_davenport), (vec![1.0, 2.0, 3.0], None));
    // Chi-squared with 2 degrees of freedom has the tail exp(-x / 2).
    assert!(near(test.p, (-4.0_f64).exp(), 1e-12));
}

#[test]
fn friedman_says_what_it_lacks() {
    let missing = |blocks: &[Vec<f64>]| friedman(blocks).unwrap_err().to_string();
    assert_eq!(missing(&vec![vec![1.0, 2.0]; 5]), "needs 3 or more levels, there are 2");
    assert_eq!(missing(&[vec![1.0, 2.0, 3.0]]), "needs 2 or more blocks that every level is in, there is 1");
    assert_eq!(missing(&[vec![1.0; 3], vec![2.0; 3]]), "all levels in every block are equal");
}

#[test]
fn nemenyis_critical_values_are_the_published_ones() {
    // Demšar (2006), table 5 (a): quantiles of the studentized range over the root of 2, for 2 to 10 classifiers.
    let five = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164];
    let ten = [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920];
    for (alpha, published) in [(0.05, five), (0.10, ten)] {
        for (k, expected) in (2..).zip(published) {
            let value = range_quantile(alpha, k) / std::f64::consts::SQRT_2;
            assert!(near(value, expected, 1.1e-3), "{k} at {alpha}: {value}");
        }
    }
}

#[test]
fn the_range_of_two_is_a_normal_distance() {
    // The difference of two normal values has the deviation √2. The tails are of `erfc(q / 2)`.
    for (q, tail) in [(0.0, 1.0), (1.0, 0.479_500_122_186_953_5), (2.0, 0.157_299_207_050_285_13), (8.0, 1.541_725_790_028_002e-8)] {
        assert!(near(range_tail(q, 2), tail, 1e-13 * tail), "{q}: {}", range_tail(q, 2));
    }
    // A difference of 1.25 in ranks is critical in Demšar's example.
    assert!(near(p_value(critical_difference(4, 14, 0.05), 4, 14), 0.05, 1e-13));
    assert_eq!(p_value(0.0, 4, 14), 1.0);
}

const PERCENTILE: Bootstrap = Bootstrap { method: Method::Percentile, confidence: 0.95, n_resamples: 4_000, seed: 0 };

#[test]
fn two_values_resample_to_three_means() {
    let means = PERCENTILE.resampled_means(&[0.0, 1.0]);
    let share = |mean: f64| means.iter().filter(|value| **value == mean).count() as f64 / 4_000.0;
    // A quarter, a half and a quarter; 4,000 draws have a standard error below 0.008.
    assert!(near(share(0.0), 0.25, 0.04) && near(share(0.5), 0.5, 0.04) && near(share(1.0), 0.25, 0.04));
    for method in [Method::Percentile, Method::Bca] {
        let interval = |confidence| Bootstrap { method, confidence, ..PERCENTILE }.interval(&[0.0, 1.0]);
        assert_eq!(interval(0.95), Ok(Interval { low: 0.0, high: 1.0 }), "{method:?}");
        assert_eq!(interval(0.3), Ok(Interval { low: 0.5, high: 0.5 }), "{method:?}");
    }
}

#[test]
fn intervals_are_read_between_the_two_nearest_means() {
    // Five means: 0.1 below and 0.1 above is at 0.4 and 3.6 of 0, 1, 2, 3, 4.
    let bootstrap = Bootstrap { confidence: 0.8, ..PERCENTILE };
    let interval = bootstrap.read_off(&[1.0, 3.0], vec![30.0, 0.0, 20.0, 40.0, 10.0]);
    assert!(near(interval.low, 4.0, 1e-12) && near(interval.high, 36.0, 1e-12), "{interval:?}");
}

#[test]
fn skewed_samples_move_the_interval_towards_their_tail() {
    let values = [0.0, 0.0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.9];
    let plain = PERCENTILE.interval(&values).unwrap();
    let corrected = Bootstrap { method: Method::Bca, ..PERCENTILE }.interval(&values).unwrap();
    assert!(corrected.low > plain.low && corrected.high > plain.high, "{plain:?} {corrected:?}");
}

#[test]
fn equal_values_have_no_interval() {
    assert_eq!(PERCENTILE.interval(&[0.5; 4]), Err(Missing::NoSpread("values")));
    assert_eq!(PERCENTILE.interval(&[]), Err(Missing::TooFew { what: "values", need: 2, have: 0 }));
}

#[test]
fn resampling_depends_on_its_seed_alone() {
    let values = [0.1, 0.4, 0.2, 0.8];
    assert_eq!(PERCENTILE.resampled_means(&values), PERCENTILE.resampled_means(&values));
    assert_ne!(PERCENTILE.resampled_means(&values), Bootstrap { seed: 1, ..PERCENTILE }.resampled_means(&values));
}

proptest! {
    #[test]
    fn signs_turned_round_turn_the_test_round(differences in vec(-6..7_i32, 1..40)) {
        let differences: Vec<f64> = differences.into_iter().map(f64::from).collect();
        let turned: Vec<f64> = differences.iter().map(|difference| -difference).collect();
        match (signed_rank(&differences), signed_rank(&turned)) {
            (Ok(one), Ok(other)) => {
                prop_assert_eq!((one.plus, one.minus, one.p), (other.minus, other.plus, other.p));
                prop_assert!(one.p > 0.0 && one.p <= 1.0);
                let n = differences.iter().filter(|difference| **difference != 0.0).count() as f64;
                prop_assert_eq!(one.plus + one.minus, n * (n + 1.0) / 2.0);
            }
            (one, other) => prop_assert_eq!(one, other),
        }
    }

    #[test]
    fn exact_p_values_count_the_signs(differences in vec(-4..5_i32, 1..11)) {
        let differences: Vec<f64> = differences.into_iter().map(f64::from).filter(|difference| *difference != 0.0).collect();
        if let Ok(test) = signed_rank(&differences) {
            let ranks = ranks(&differences.iter().map(|difference| difference.abs()).collect::<Vec<_>>());
            let sum = |signs: u32| (0..ranks.len()).filter(|index| signs >> index & 1 == 1).map(|index| ranks[index]).sum::<f64>();
            let n_ways = 1_u32 << ranks.len();
            let n_as_one_sided = (0..n_ways).filter(|&signs| sum(signs) <= test.plus.min(test.minus)).count() as f64;
            prop_assert_eq!(test.p, (2.0 * n_as_one_sided / f64::from(n_ways)).min(1.0));
        }
    }

    #[test]
    fn intervals_lie_within_the_sample(values in vec(0.0..1.0_f64, 2..12), bca in any::<bool>()) {
        let method = if bca { Method::Bca } else { Method::Percentile };
        if let Ok(interval) = (Bootstrap { method, n_resamples: 200, ..PERCENTILE }).interval(&values) {
            let (least, most) = values.iter().fold((1.0_f64, 0.0_f64), |(least, most), value| (least.min(*value), most.max(*value)));
            prop_assert!(least - 1e-12 <= interval.low && interval.low <= interval.high && interval.high <= most + 1e-12);
        }
    }

    #[test]
    fn friedman_does_not_mind_the_order_of_levels(blocks in vec(vec(0..5_i32, 4), 2..8)) {
        let blocks: Vec<Vec<f64>> = blocks.into_iter().map(|block| block.into_iter().map(f64::from).collect()).collect();
        let turned: Vec<Vec<f64>> = blocks.iter().map(|block| block.iter().rev().copied().collect()).collect();
        match (friedman(&blocks), friedman(&turned)) {
            (Ok(one), Ok(mut other)) => {
                other.mean_ranks.reverse();
                prop_assert_eq!(&one.mean_ranks, &other.mean_ranks);
                prop_assert!((one.chi_squared - other.chi_squared).abs() < 1e-9);
                prop_assert!((one.mean_ranks.iter().sum::<f64>() - 10.0).abs() < 1e-9);
            }
            (one, other) => prop_assert_eq!(one, other),
        }
    }
}
