//! Numbers that say how good a set of points is: against another set ([`igd_plus`], [`epsilon_additive`], [`epsilon_multiplicative`]), and
//! by itself ([`knee`]).
//!
//! Distances mix cost and accuracy, so both have to be on scales that compare: see [`Scale`].

use super::volume::Sum;
use super::{Point, front, sieve, steps};

/// Puts cost and accuracy on scales of their own, as differences from and in units of a set's range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    least: Point,
    range: Point,
}

impl Scale {
    /// The scale on which the frontier of `points` reaches from 0 to 1 in cost and in accuracy. Of a frontier of one step, both are
    /// left in their units. `None`: there is no finite point.
    pub fn of(points: &[Point]) -> Option<Self> {
        let steps = steps(points);
        let (least, most) = (*steps.first()?, *steps.last()?);
        let or_one = |range: f64| if range > 0.0 { range } else { 1.0 };
        let range = Point { cost: or_one(most.cost - least.cost), accuracy: or_one(most.accuracy - least.accuracy) };
        Some(Self { least, range })
    }

    /// A point on this scale.
    pub fn put(&self, point: Point) -> Point {
        Point {
            cost: (point.cost - self.least.cost) / self.range.cost,
            accuracy: (point.accuracy - self.least.accuracy) / self.range.accuracy,
        }
    }
}

fn finite(points: &[Point]) -> impl Iterator<Item = Point> {
    points.iter().copied().filter(|point| point.is_finite())
}

/// The mean, over the points of `reference`, of how far `points` are from being at least as good as it: the inverted generational distance,
/// modified to count only what is worse. 0 is best. `None`: one of the sets has no finite point.
///
/// The distance of a point to a reference point is Euclidean over what it costs more and is less accurate. (Ishibuchi, Masuda, Tanigaki, Nojima,
/// "Modified distance calculation in generational distance and inverted generational distance", EMO 2015.)
/// Takes O(n log n), and for each reference point a look at the steps of the frontier of `points` that could be nearer than the nearest so far.
pub fn igd_plus(points: &[Point], reference: &[Point]) -> Option<f64> {
    let steps = steps(points);
    if steps.is_empty() {
        return None;
    }
    let mut sum = Sum::default();
    let mut n_points = 0_u64;
    for target in finite(reference) {
        sum.add(distance_plus(&steps, target));
        n_points += 1;
    }
    (n_points > 0).then(|| sum.value() / n_points as f64)
}

/// How far the nearest of `steps` is from being at least as good as `target`.
fn distance_plus(steps: &[Point], target: Point) -> f64 {
    let n_cheaper = steps.partition_point(|step| step.cost <= target.cost);
    // Of the steps that cost no more, the last one is the most accurate.
    let mut nearest = n_cheaper.checked_sub(1).map_or(f64::INFINITY, |last| (target.accuracy - steps[last].accuracy).max(0.0));
    for step in &steps[n_cheaper..] {
        let dearer = step.cost - target.cost;
        if dearer >= nearest {
            break;
        }
        nearest = nearest.min(dearer.hypot((target.accuracy - step.accuracy).max(0.0)));
    }
    nearest
}

/// By how much every point of `points` has to become cheaper and more accurate so that each point of `reference` is matched by one at least as
/// good: the additive epsilon indicator. Negative where the points are ahead everywhere. `None`: one of the sets has no finite point.
///
/// (Zitzler, Thiele, Laumanns, Fonseca, Grunert da Fonseca, "Performance assessment of multiobjective optimizers: an analysis and review", IEEE
/// Transactions on Evolutionary Computation 7(2), 2003.) Takes O(n log n).
pub fn epsilon_additive(points: &[Point], reference: &[Point]) -> Option<f64> {
    let steps = steps(points);
    epsilon(&steps, finite(reference), |own, target| own.cost - target.cost, |own, target| target.accuracy - own.accuracy)
}

/// By which factor the cost of every point of `points` has to be divided, and its accuracy multiplied, so that each point of `reference` is
/// matched by one at least as good: the multiplicative epsilon indicator. Below 1 where the points are ahead everywhere. `None`: one of the sets
/// has no finite point with both coordinates above 0. Other points have no ratios, and are left out. Source and time as
/// [`epsilon_additive`].
pub fn epsilon_multiplicative(points: &[Point], reference: &[Point]) -> Option<f64> {
    let is_positive = |point: &Point| point.cost > 0.0 && point.accuracy > 0.0;
    let positive: Vec<Point> = finite(points).filter(is_positive).collect();
    let targets = finite(reference).filter(is_positive);
    epsilon(&steps(&positive), targets, |own, target| own.cost / target.cost, |own, target| target.accuracy / own.accuracy)
}

/// The greatest over `targets` of the least over `steps` of the worse of two shortfalls, of which one rises along the steps and one falls.
fn epsilon(
    steps: &[Point],
    targets: impl Iterator<Item = Point>,
    in_cost: impl Fn(Point, Point) -> f64,
    in_accuracy: impl Fn(Point, Point) -> f64,
) -> Option<f64> {
    if steps.is_empty() {
        return None;
    }
    let least = |target: Point| {
        // The worse of the two falls up to where the cost's takes over, and rises from there.
        let turn = steps.partition_point(|step| in_cost(*step, target) < in_accuracy(*step, target));
        let at = |index: usize| steps.get(index).map(|step| in_cost(*step, target).max(in_accuracy(*step, target)));
        let before = turn.checked_sub(1).and_then(at).unwrap_or(f64::INFINITY);
        before.min(at(turn).unwrap_or(f64::INFINITY))
    };
    targets.map(least).reduce(f64::max)
}

/// Index of the point where the frontier of `points` bends most: of those of its points that lie above the line from its cheapest to its most
/// accurate one, the farthest, on the scale on which both ends are one apart in cost and in accuracy. Of equally far ones the cheapest counts, and of
/// equal ones the first. `None`: no point lies above the line, as with fewer than three distinct ones.
///
/// Which scale costs are on (MACs or their logarithm) decides where a curve bends; here it is the cost as it is.
/// (Das, "On characterizing the 'knee' of the Pareto curve based on Normal-Boundary Intersection", Structural Optimization 18, 1999.)
pub fn knee(points: &[Point]) -> Option<usize> {
    let entries = front(sieve(points));
    let scale = Scale::of(points)?;
    let mut knee: Option<(f64, usize)> = None;
    for entry in &entries {
        // From corner (0, 0) to corner (1, 1): the distance is this over the root of 2.
        let point = scale.put(entry.point());
        let above = point.accuracy - point.cost;
        if above > knee.map_or(0.0, |(most, _)| most) {
            knee = Some((above, entry.index));
        }
    }
    knee.map(|(_, index)| index)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn points(coordinates: &[(f64, f64)]) -> Vec<Point> {
        coordinates.iter().map(|&(cost, accuracy)| Point { cost, accuracy }).collect()
    }

    /// A problem that minimises both coordinates, turned into one of cost and accuracy by flipping the second.
    fn minimised(coordinates: &[(f64, f64)]) -> Vec<Point> {
        coordinates.iter().map(|&(cost, second)| Point { cost, accuracy: -second }).collect()
    }

    #[test]
    fn a_front_shifted_by_a_half_is_a_half_away_in_both() {
        // moocore 0.3.2 and pymoo 0.6.2 both say 0.5 and 0.70710678 of this set and its front less 0.5.
        let all = minimised(&[(1.0, 5.0), (2.0, 3.0), (4.0, 2.0), (6.0, 1.0), (3.0, 3.0), (2.0, 3.0)]);
        let reference = minimised(&[(0.5, 4.5), (1.5, 2.5), (3.5, 1.5), (5.5, 0.5)]);
        assert_eq!(epsilon_additive(&all, &reference), Some(0.5));
        assert!((igd_plus(&all, &reference).unwrap() - 0.5_f64.sqrt()).abs() < 1e-15);
        assert_eq!(epsilon_additive(&reference, &all), Some(-0.5));
        assert_eq!(igd_plus(&reference, &all), Some(0.0));
    }

    #[test]
    fn epsilon_factor_is_the_worst_ratio() {
        // (4, 0.5) is matched by (2, 0.4) at a factor of 0.5 / 0.4, and by (8, 0.8) at a factor of 2.
        let own = points(&[(2.0, 0.4), (8.0, 0.8)]);
        assert_eq!(epsilon_multiplicative(&own, &points(&[(4.0, 0.5)])), Some(0.5 / 0.4));
        assert_eq!(epsilon_multiplicative(&own, &points(&[(4.0, 0.5), (4.0, 1.0)])), Some(2.0));
        // No ratio to nothing.
        assert_eq!(epsilon_multiplicative(&own, &points(&[(0.0, 0.5), (4.0, 0.0)])), None);
        assert_eq!(epsilon_multiplicative(&points(&[(1.0, 0.0)]), &own), None);
    }

    #[test]
    fn sets_without_a_finite_point_compare_with_nothing() {
        let some = points(&[(1.0, 0.5)]);
        for none in [vec![], points(&[(f64::NAN, 0.5), (1.0, f64::INFINITY)])] {
            for (own, reference) in [(&some, &none), (&none, &some)] {
                assert_eq!(igd_plus(own, reference), None);
                assert_eq!(epsilon_additive(own, reference), None);
                assert_eq!(epsilon_multiplicative(own, reference), None);
            }
            assert_eq!((Scale::of(&none), knee(&none)), (None, None));
        }
    }

    #[test]
    fn knee_is_farthest_above_the_line_between_the_ends() {
        // From (0, 0) to (10, 1): (2, 0.5) is 0.3 above the line, (5, 0.9) is 0.4, (3, 0.2) is below. (6, 0.5) is not on the front.
        let curve = points(&[(10.0, 1.0), (2.0, 0.5), (5.0, 0.9), (6.0, 0.5), (0.0, 0.0), (5.0, 0.9)]);
        assert_eq!(knee(&curve), Some(2));
        assert_eq!(knee(&points(&[(0.0, 0.0), (3.0, 0.25), (10.0, 1.0)])), None);
        assert_eq!(knee(&points(&[(0.0, 0.0), (5.0, 0.5), (10.0, 1.0)])), None, "a straight line does not bend");
        assert_eq!(knee(&points(&[(1.0, 0.5), (2.0, 0.75)])), None);
        assert_eq!(knee(&points(&[(1.0, 0.5)])), None);
        // Of two as far away, the cheaper one.
        assert_eq!(knee(&points(&[(4.0, 1.0), (0.0, 0.0), (2.0, 0.75), (1.0, 0.5)])), Some(3));
    }

    #[test]
    fn a_scale_reaches_from_end_to_end_of_the_frontier() {
        let scale = Scale::of(&points(&[(10.0, 0.5), (30.0, 0.9), (50.0, 0.1), (f64::NAN, 2.0)])).unwrap();
        assert_eq!(scale.put(Point { cost: 10.0, accuracy: 0.5 }), Point { cost: 0.0, accuracy: 0.0 });
        assert_eq!(scale.put(Point { cost: 30.0, accuracy: 0.9 }), Point { cost: 1.0, accuracy: 1.0 });
        assert_eq!(
            Scale::of(&points(&[(10.0, 0.5)])).unwrap().put(Point { cost: 12.0, accuracy: 0.75 }),
            Point { cost: 2.0, accuracy: 0.25 }
        );
    }

    fn grid(most: usize) -> impl Strategy<Value = Vec<Point>> {
        vec((1..9_u8, 1..9_u8).prop_map(|(cost, accuracy)| Point { cost: f64::from(cost), accuracy: f64::from(accuracy) }), 1..most)
    }

    proptest! {
        #[test]
        fn indicators_are_their_definitions(own in grid(12), reference in grid(12)) {
            let over = |distance: &dyn Fn(Point, Point) -> f64| -> Vec<f64> {
                reference.iter().map(|target| own.iter().map(|own| distance(*own, *target)).fold(f64::INFINITY, f64::min)).collect()
            };
            let greatest = |values: Vec<f64>| values.into_iter().fold(f64::NEG_INFINITY, f64::max);
            let additive = over(&|own, target| (own.cost - target.cost).max(target.accuracy - own.accuracy));
            prop_assert_eq!(epsilon_additive(&own, &reference), Some(greatest(additive)));
            let factors = over(&|own, target| (own.cost / target.cost).max(target.accuracy / own.accuracy));
            prop_assert_eq!(epsilon_multiplicative(&own, &reference), Some(greatest(factors)));
            let distances =
                over(&|own, target| ((own.cost - target.cost).max(0.0).powi(2) + (target.accuracy - own.accuracy).max(0.0).powi(2)).sqrt());
            let mean = distances.iter().sum::<f64>() / distances.len() as f64;
            prop_assert!((igd_plus(&own, &reference).unwrap() - mean).abs() < 1e-13);
        }
    }
}
