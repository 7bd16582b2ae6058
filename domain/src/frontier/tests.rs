use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn points(coordinates: &[(f64, f64)]) -> Vec<Point> {
    coordinates.iter().map(|&(cost, accuracy)| Point { cost, accuracy }).collect()
}

/// The definition, in O(n²).
fn brute_force(points: &[Point]) -> Vec<usize> {
    let finite = |point: &Point| point.cost.is_finite() && point.accuracy.is_finite();
    (0..points.len())
        .filter(|&index| finite(&points[index]) && !points.iter().any(|other| finite(other) && other.dominates(points[index])))
        .collect()
}

fn sorted(mut indices: Vec<usize>) -> Vec<usize> {
    indices.sort_unstable();
    indices
}

/// A problem that minimises both coordinates, turned into one of cost and accuracy by flipping the second.
fn minimised(coordinates: &[(f64, f64)]) -> Vec<Point> {
    coordinates.iter().map(|&(cost, second)| Point { cost, accuracy: -second }).collect()
}

// The point set and its figures are computed alike by moocore 0.3.2, pymoo 0.6.2 and pygmo 2.20.0. They keep one of two equal
// points; here both stay.
const SMALL: [(f64, f64); 6] = [(1.0, 5.0), (2.0, 3.0), (4.0, 2.0), (6.0, 1.0), (3.0, 3.0), (2.0, 3.0)];

#[test]
fn small_example_has_the_published_frontier_and_area() {
    let small = minimised(&SMALL);
    assert_eq!(non_dominated(&small), [0, 1, 5, 2, 3]);
    let reference = Point { cost: 7.0, accuracy: -6.0 };
    assert_eq!(hypervolume(&small, reference).to_bits(), 20.0_f64.to_bits());
    // Exclusive contributions of the four distinct frontier points.
    for (without, contribution) in [(0, 1.0), (1, 4.0), (2, 2.0), (3, 1.0)] {
        let mut rest = SMALL[..4].to_vec();
        rest.remove(without);
        assert_eq!((20.0 - hypervolume(&minimised(&rest), reference)).to_bits(), f64::to_bits(contribution), "{without}");
    }
}

#[test]
fn zdt1_front_has_the_published_area() {
    // Zitzler, Deb, Thiele 2000: f2 = 1 - sqrt(f1); 1,001 uniform points, reference (1.1, 1.1).
    let front: Vec<(f64, f64)> = (0..=1_000).map(|step| f64::from(step) / 1_000.0).map(|f1| (f1, 1.0 - f1.sqrt())).collect();
    let area = hypervolume(&minimised(&front), Point { cost: 1.1, accuracy: -1.1 });
    assert!((area - 0.876_160_134_393_681_7).abs() < 1e-13, "{area}");
}

#[test]
fn coordinates_that_are_not_finite_are_excluded() {
    let strange = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let mut all = points(&[(2.0, 0.5)]);
    all.extend(strange.map(|cost| Point { cost, accuracy: 0.9 }));
    all.extend(strange.map(|accuracy| Point { cost: 1.0, accuracy }));
    assert_eq!(non_dominated(&all), [0]);
    assert_eq!(hypervolume(&all, Point { cost: 4.0, accuracy: 0.0 }).to_bits(), 1.0_f64.to_bits());
}

#[test]
fn nothing_has_no_frontier_and_no_area() {
    assert!(non_dominated(&[]).is_empty());
    assert_eq!(hypervolume(&[], Point { cost: 1.0, accuracy: 0.0 }).to_bits(), 0.0_f64.to_bits());
    assert_eq!(insert(&[], &[]), Insertion { entered: vec![], displaced: vec![] });
}

#[test]
fn points_no_better_than_the_reference_add_no_area() {
    let reference = Point { cost: 2.0, accuracy: 0.5 };
    for worse in [(2.0, 0.9), (3.0, 0.9), (1.0, 0.5), (1.0, 0.1)] {
        assert_eq!(hypervolume(&points(&[worse]), reference).to_bits(), 0.0_f64.to_bits(), "{worse:?}");
        assert_eq!(hypervolume(&points(&[worse, (1.0, 0.75)]), reference).to_bits(), 0.25_f64.to_bits(), "{worse:?}");
    }
}

#[test]
fn a_better_point_displaces_and_an_equal_one_joins() {
    let frontier = points(&[(1.0, 0.5), (2.0, 0.7), (3.0, 0.9)]);
    let insertion = |candidates: &[(f64, f64)]| {
        let Insertion { entered, displaced } = insert(&frontier, &points(candidates));
        (entered, displaced)
    };
    assert_eq!(insertion(&[(1.5, 0.8)]), (vec![0], vec![1]));
    assert_eq!(insertion(&[(2.0, 0.7)]), (vec![0], vec![]));
    assert_eq!(insertion(&[(2.0, 0.6)]), (vec![], vec![]));
    assert_eq!(insertion(&[(0.5, 0.95), (0.6, 0.94)]), (vec![0], vec![0, 1, 2]));
}

/// Coordinates from a small grid, so that equal coordinates and equal points are common.
fn grid_points(most: usize) -> impl Strategy<Value = Vec<Point>> {
    let coordinate = prop_oneof![20 => (0..7_i32).prop_map(f64::from), 1 => Just(f64::NAN), 1 => Just(-0.0)];
    vec((coordinate.clone(), coordinate).prop_map(|(cost, accuracy)| Point { cost, accuracy }), 0..most)
}

proptest! {
    #[test]
    fn non_dominated_is_the_definition(points in grid_points(40)) {
        let kept = non_dominated(&points);
        prop_assert_eq!(sorted(kept.clone()), brute_force(&points));
        let costs: Vec<f64> = kept.iter().map(|&index| points[index].cost).collect();
        prop_assert!(costs.is_sorted());
    }

    #[test]
    fn hypervolume_counts_dominated_cells(points in grid_points(20)) {
        let reference = Point { cost: 5.0, accuracy: 1.0 };
        let dominated = |cost: i32, accuracy: i32| {
            points.iter().any(|point| point.cost <= f64::from(cost) && point.accuracy >= f64::from(accuracy) + 1.0)
        };
        let cells = (0..5).flat_map(|cost| (1..7).map(move |accuracy| (cost, accuracy)));
        let count = cells.filter(|&(cost, accuracy)| dominated(cost, accuracy)).count();
        prop_assert_eq!(hypervolume(&points, reference).to_bits(), (count as f64).to_bits());
    }

    #[test]
    fn insertion_in_any_order_gives_the_frontier_of_everything(batches in vec(grid_points(8), 0..8)) {
        let mut seen: Vec<Point> = Vec::new();
        let mut frontier: Vec<usize> = Vec::new();
        for batch in &batches {
            let old: Vec<Point> = frontier.iter().map(|&index| seen[index]).collect();
            let Insertion { entered, displaced } = insert(&old, batch);
            let gone: Vec<usize> = displaced.iter().map(|&index| frontier[index]).collect();
            frontier.retain(|index| !gone.contains(index));
            frontier.extend(entered.iter().map(|index| seen.len() + index));
            seen.extend(batch);
            prop_assert_eq!(sorted(frontier.clone()), brute_force(&seen));
        }
    }
}

/// Points by the thousand, so that the sieve is used, of each kind that it has to cope with.
fn many() -> Vec<(&'static str, Vec<Point>)> {
    // A multiplicative generator modulo 2^31 - 1 (Park and Miller): the same points everywhere.
    let mut state = 1_u64;
    let mut random = move || {
        state = state * 48_271 % 2_147_483_647;
        state as f64 / 2_147_483_647.0
    };
    let n_points = 3 * STRIPS * 4;
    let mut set = |name, place: &dyn Fn(f64, f64) -> (f64, f64)| {
        let coordinates: Vec<(f64, f64)> = (0..n_points).map(|_| place(random(), random())).collect();
        (name, points(&coordinates))
    };
    vec![
        set("anywhere", &|a, b| (a, b)),
        set("on a falling line", &|a, _| (a, -a)),
        set("all on the frontier", &|a, _| (a, a)),
        set("on a grid", &|a, b| ((a * 50.0).floor(), (b * 50.0).floor())),
        set("near a front", &|a, b| (a, a.sqrt() - b * 0.1)),
        set("of one cost", &|_, b| (7.0, (b * 100.0).floor())),
        set("of both signs", &|a, b| (a - 0.5, b - 0.5)),
        set("of all magnitudes", &|a, b| ((a * 600.0 - 300.0).exp2(), (b * 60.0).exp2())),
        set("with one outlier", &|a, b| if a < 1e-4 { (1e300, 1e300) } else { (a, b) }),
        set("some not finite", &|a, b| {
            if a < 0.3 {
                (f64::NAN, b)
            } else if b > 0.9 {
                (a, f64::INFINITY)
            } else {
                (a, b)
            }
        }),
        set("zeros of both signs", &|a, b| (if a < 0.5 { -0.0 } else { 0.0 }, if b < 0.5 { -0.0 } else { 0.0 })),
    ]
}

/// The definition in another way: everything sorted by the numbers themselves, in a stable sort, and swept.
fn swept(points: &[Point]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).filter(|&index| points[index].is_finite()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (points[a], points[b]);
        a.cost.partial_cmp(&b.cost).unwrap().then(b.accuracy.partial_cmp(&a.accuracy).unwrap())
    });
    let mut best: Option<Point> = None;
    order.retain(|&index| {
        let kept = best.is_none_or(|best| points[index].accuracy > best.accuracy || points[index] == best);
        if kept {
            best = Some(points[index]);
        }
        kept
    });
    order
}

#[test]
fn large_sets_have_the_frontier_that_sorting_everything_finds() {
    for (name, points) in many() {
        let front = non_dominated(&points);
        assert_eq!(front, swept(&points), "{name}");
        assert!(!front.is_empty(), "{name}");
    }
}

#[test]
fn the_sieve_leaves_a_small_part_of_points_in_no_order() {
    for (name, points) in many() {
        let left = sieve(&points).len();
        match name {
            "anywhere" | "near a front" | "of both signs" | "of all magnitudes" | "with one outlier" | "some not finite" => {
                assert!(left < points.len() / 4, "{name}: {left}");
            }
            "all on the frontier" | "of one cost" => assert_eq!(left, points.len(), "{name}"),
            _ => {}
        }
    }
}

#[test]
fn ranks_order_as_numbers_do() {
    let ascending = [f64::MIN, -1.0, -f64::MIN_POSITIVE, -5e-324, 0.0, 5e-324, f64::MIN_POSITIVE, 1.0, 1.0 + f64::EPSILON, f64::MAX];
    assert!(ascending.map(rank).is_sorted_by(|a, b| a < b));
    assert_eq!(ascending.map(|value| ranked(rank(value))), ascending);
    assert_eq!(rank(-0.0), rank(0.0));
}
