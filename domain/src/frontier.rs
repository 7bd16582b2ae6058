//! Who dominates whom, in two dimensions: cost (less is better) and accuracy (more is better).
//!
//! Points with a coordinate that is not finite are nowhere: neither on a frontier nor able to keep another point off it.

use std::cmp::Ordering;

/// A point to compare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Cost, MACs or another unit; less is better.
    pub cost: f64,
    /// Accuracy, 0 to 1; more is better.
    pub accuracy: f64,
}

impl Point {
    /// Whether this point is at least as good in both and better in one. A NaN neither dominates nor is on a frontier.
    pub fn dominates(self, other: Self) -> bool {
        self.cost <= other.cost && self.accuracy >= other.accuracy && (self.cost < other.cost || self.accuracy > other.accuracy)
    }

    const fn is_finite(self) -> bool {
        self.cost.is_finite() && self.accuracy.is_finite()
    }

    /// Cheapest first, and the most accurate first among equally cheap ones.
    fn order(self, other: Self) -> Ordering {
        let cost = self.cost.partial_cmp(&other.cost);
        let accuracy = other.accuracy.partial_cmp(&self.accuracy);
        cost.zip(accuracy).map(|(cost, accuracy)| cost.then(accuracy)).expect("only finite points are ordered")
    }
}

/// Indices of the non-dominated points, cheapest first. Equal points are all on the frontier, in the order they came in.
///
/// Takes O(n log n).
///
/// # Examples
/// ```
/// use offramp_domain::frontier::{Point, non_dominated};
///
/// let points = [(5.0, 0.9), (1.0, 0.7), (3.0, 0.6), (1.0, 0.7)].map(|(cost, accuracy)| Point { cost, accuracy });
/// assert_eq!(non_dominated(&points), [1, 3, 0]);
/// ```
pub fn non_dominated(points: &[Point]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).filter(|&index| points[index].is_finite()).collect();
    // Stable, so that equal points keep their order.
    order.sort_by(|&a, &b| points[a].order(points[b]));
    let mut best: Option<Point> = None;
    order.retain(|&index| {
        let point = points[index];
        let kept = best.is_none_or(|best| point.accuracy > best.accuracy || point == best);
        if kept {
            best = Some(point);
        }
        kept
    });
    order
}

/// What new points do to a frontier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insertion {
    /// Indices of the candidates that are on the new frontier, cheapest first.
    pub entered: Vec<usize>,
    /// Indices of the old frontier's points that are not any more, cheapest first.
    pub displaced: Vec<usize>,
}

/// Adds `candidates` to `frontier`, whose points do not dominate each other.
///
/// A point that left the frontier earlier, or never entered it, needs no second look: whatever dominated it is still there or was itself
/// dominated. So frontiers that grow by insertion equal [`non_dominated`] of everything seen.
pub fn insert(frontier: &[Point], candidates: &[Point]) -> Insertion {
    let all: Vec<Point> = frontier.iter().chain(candidates).copied().collect();
    let kept = non_dominated(&all);
    let mut stays = vec![false; frontier.len()];
    let mut entered = Vec::new();
    for index in kept {
        match index.checked_sub(frontier.len()) {
            None => stays[index] = true,
            Some(candidate) => entered.push(candidate),
        }
    }
    let mut displaced: Vec<usize> = (0..frontier.len()).filter(|&index| !stays[index]).collect();
    displaced.sort_by(|&a, &b| frontier[a].cost.total_cmp(&frontier[b].cost));
    Insertion { entered, displaced }
}

/// Area dominated by `points` up to the reference (`reference.cost` and `reference.accuracy` bound it from the worse side).
///
/// Points that are not better than the reference in both coordinates contribute nothing.
///
/// # Units
/// The cost's unit times accuracy.
pub fn hypervolume(points: &[Point], reference: Point) -> f64 {
    let counted: Vec<Point> =
        points.iter().copied().filter(|point| point.cost < reference.cost && point.accuracy > reference.accuracy).collect();
    let mut area = 0.0;
    let mut below = reference.accuracy;
    // Along the frontier accuracy only rises: each point adds the strip between the accuracy reached before and its own.
    for index in non_dominated(&counted) {
        let point = counted[index];
        area += (reference.cost - point.cost) * (point.accuracy - below);
        below = point.accuracy;
    }
    area
}

#[cfg(test)]
mod tests {
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
}
