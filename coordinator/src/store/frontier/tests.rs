use offramp_domain::frontier::{Point, hypervolume, non_dominated};
use proptest::collection::vec;
use proptest::prelude::*;

use super::step::{Extent, advance};

fn points(points: &[(f64, f64)]) -> Vec<Point> {
    points.iter().map(|&(cost, accuracy)| Point { cost, accuracy }).collect()
}

#[test]
fn the_area_grows_by_what_is_newly_dominated() {
    // From nothing: up to cost 4, above accuracy 0.25, two rectangles: 1 x 0.25 and 2 x 0.5.
    let first = advance(Extent::default(), 0.25, &[], &points(&[(1.0, 0.5), (2.0, 0.75), (3.0, 0.5)])).unwrap();
    assert_eq!((first.entered, first.displaced), (vec![0, 1], vec![]));
    assert_eq!((first.hypervolume, first.reference_cost), (0.25, 2.0), "the dearest one is where the area ends");
    // A dearer one moves the end to 4: what stood counts 2 x 0.5 more, and the new one 1 x 0.25.
    let extent = Extent { at_us: 1, hypervolume: 0.25, reference_cost: 2.0 };
    let second = advance(extent, 0.25, &points(&[(2.0, 0.75)]), &points(&[(3.0, 1.0)])).unwrap();
    assert_eq!((second.hypervolume, second.reference_cost), (0.25 + 1.0 + 0.25, 4.0));
    // One that displaces both adds the strips over them: 1 x 0.5 from cost 1 and 1 x 0.25 from cost 2, and 1 x 0.75 before cost 1.
    let extent = Extent { at_us: 2, hypervolume: 1.5, reference_cost: 4.0 };
    let third = advance(extent, 0.25, &points(&[(1.0, 0.5), (2.0, 0.75), (3.0, 1.0)]), &points(&[(0.5, 1.0)])).unwrap();
    assert_eq!((third.entered, third.displaced), (vec![0], vec![(0, 0), (1, 0), (2, 0)]));
    assert_eq!(third.hypervolume, 3.5 * 0.75);
}

#[test]
fn what_is_dominated_changes_nothing_and_an_equal_point_no_area() {
    let extent = Extent { at_us: 1, hypervolume: 0.5, reference_cost: 2.0 };
    assert_eq!(advance(extent, 0.0, &points(&[(1.0, 0.5)]), &points(&[(1.0, 0.25), (1.5, 0.5), (f64::NAN, 1.0)])), None);
    let equal = advance(extent, 0.0, &points(&[(1.0, 0.5)]), &points(&[(1.0, 0.5), (1.0, 0.5)])).unwrap();
    assert_eq!((equal.entered, equal.displaced, equal.hypervolume), (vec![0, 1], vec![], 0.5));
    // Worse than a guess, and cheaper than all: on the frontier, and worth nothing.
    let guess = advance(extent, 0.1, &points(&[(1.0, 0.5)]), &points(&[(0.5, 0.05)])).unwrap();
    assert_eq!((guess.entered, guess.hypervolume), (vec![0], 0.5));
}

#[test]
fn areas_stay_finite_whatever_a_point_costs() {
    for cost in [0.0, f64::MIN_POSITIVE, 1.0, 1.5, 1024.0, 1025.0, f64::MAX] {
        let alone = advance(Extent::default(), 0.1, &[], &points(&[(cost, 1e300)])).unwrap();
        assert!(alone.hypervolume.is_finite() && alone.reference_cost.is_finite() && alone.reference_cost >= cost, "{cost}: {alone:?}");
    }
    let reference = |cost| advance(Extent::default(), 0.1, &[], &points(&[(cost, 0.5)])).unwrap().reference_cost;
    assert_eq!([0.0, 0.3, 0.5, 1.0, 1.5, 1024.0, 1025.0].map(reference), [1.0, 0.5, 0.5, 1.0, 2.0, 1024.0, 2048.0]);
}

proptest! {
    /// With the whole frontier as neighbours, batch after batch: the frontier of everything, and its area.
    #[test]
    fn steps_come_to_the_frontier_of_everything(batches in vec(vec((1..40_i32, 0..20_i32), 1..8), 1..12)) {
        let mut all: Vec<Point> = Vec::new();
        let mut standing: Vec<Point> = Vec::new();
        let mut extent = Extent::default();
        for batch in batches {
            let batch = points(&batch.into_iter().map(|(cost, accuracy)| (f64::from(cost) * 0.3, f64::from(accuracy) / 20.0)).collect::<Vec<_>>());
            all.extend(&batch);
            let Some(step) = advance(extent, 0.1, &standing, &batch) else { continue };
            for (old, by) in &step.displaced {
                prop_assert!(batch[*by].dominates(standing[*old]));
            }
            let gone: Vec<usize> = step.displaced.iter().map(|(old, _)| *old).collect();
            standing = (0..standing.len()).filter(|index| !gone.contains(index)).map(|index| standing[index]).collect();
            standing.extend(step.entered.iter().map(|index| batch[*index]));
            extent = Extent { at_us: 0, hypervolume: step.hypervolume, reference_cost: step.reference_cost };
            let expected: Vec<Point> = non_dominated(&all).into_iter().map(|index| all[index]).collect();
            standing.sort_by(|a, b| a.cost.total_cmp(&b.cost));
            prop_assert_eq!(&standing, &expected);
            let area = hypervolume(&all, Point { cost: extent.reference_cost, accuracy: 0.1 });
            prop_assert!((extent.hypervolume - area).abs() <= 1e-12 * area, "{} and {area}", extent.hypervolume);
        }
    }
}
