//! Attainment surfaces over repetitions: what at least so many of several sets of points reach.
//!
//! A place (cost, accuracy) is attained by a set that has a point which costs no more and is no less accurate. The surface of level l is the
//! frontier of all places that at least l of the sets attain. (Fonseca and Fleming, "On the performance assessment and comparison of stochastic
//! multiobjective optimizers", PPSN 1996; Grunert da Fonseca, Fonseca, Hall, "Inferential performance assessment of stochastic optimisers and
//! the attainment function", EMO 2001.) With seeds as sets, the best, the median and the worst surface are a frontier's band.

use super::{Point, rank, steps};

/// The distinct points of the surface that at least `level` of the sets attain, cheapest first; cost and accuracy both rise.
///
/// A set without a finite point attains nothing, and counts among the sets. Takes O(n log n) and O(sets) for each point of the sets'
/// frontiers.
///
/// # Panics
/// When `level` is 0, or above the number of sets.
///
/// # Examples
/// ```
/// use offramp_domain::frontier::{Point, attainment};
///
/// let point = |cost, accuracy| Point { cost, accuracy };
/// let seeds = [vec![point(1.0, 0.5), point(3.0, 0.9)], vec![point(2.0, 0.7)]];
/// assert_eq!(attainment::surface(&seeds, 1), [point(1.0, 0.5), point(2.0, 0.7), point(3.0, 0.9)]);
/// assert_eq!(attainment::surface(&seeds, 2), [point(2.0, 0.5), point(3.0, 0.7)]);
/// ```
pub fn surface(sets: &[Vec<Point>], level: usize) -> Vec<Point> {
    assert!((1..=sets.len()).contains(&level), "{} sets have no level {level}", sets.len());
    // Dominated points attain nothing that their set doesn't without them.
    let mut sorted: Vec<(u64, usize, Point)> = Vec::new();
    for (set, points) in sets.iter().enumerate() {
        sorted.extend(steps(points).into_iter().map(|point| (rank(point.cost), set, point)));
    }
    sorted.sort_unstable_by_key(|&(cost, set, _)| (cost, set));
    // How accurate each set is by now, and the same, greatest first.
    let mut own = vec![f64::NEG_INFINITY; sets.len()];
    let mut reached = own.clone();
    let mut surface: Vec<Point> = Vec::new();
    let mut below = f64::NEG_INFINITY;
    for same_cost in sorted.chunk_by(|a, b| a.0 == b.0) {
        for &(_, set, point) in same_cost {
            let from = reached.partition_point(|accuracy| *accuracy > own[set]);
            let to = reached.partition_point(|accuracy| *accuracy > point.accuracy);
            reached[to..=from].rotate_right(1);
            reached[to] = point.accuracy;
            own[set] = point.accuracy;
        }
        let accuracy = reached[level - 1];
        if accuracy > below {
            surface.push(Point { cost: same_cost[0].2.cost, accuracy });
            below = accuracy;
        }
    }
    surface
}

/// What at least one of the sets attains: the frontier of their union. Nothing where there are no sets.
pub fn best(sets: &[Vec<Point>]) -> Vec<Point> {
    if sets.is_empty() { Vec::new() } else { surface(sets, 1) }
}

/// What half of the sets attain: level ceil(k / 2) of k, so of an even number the better of the two middle ones, as the empirical
/// attainment function's 50 % has it. Nothing where there are no sets.
pub fn median(sets: &[Vec<Point>]) -> Vec<Point> {
    if sets.is_empty() { Vec::new() } else { surface(sets, sets.len().div_ceil(2)) }
}

/// What each of the sets attains. Nothing where there are no sets.
pub fn worst(sets: &[Vec<Point>]) -> Vec<Point> {
    if sets.is_empty() { Vec::new() } else { surface(sets, sets.len()) }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn points(coordinates: &[(f64, f64)]) -> Vec<Point> {
        coordinates.iter().map(|&(cost, accuracy)| Point { cost, accuracy }).collect()
    }

    #[test]
    fn two_small_sets_have_the_published_surfaces() {
        // moocore's `eaf`, minimising both: 50 % is (1, 2), (2, 1), and 100 % is (1, 3), (2, 2), (3, 1).
        let sets = [points(&[(1.0, -3.0), (2.0, -2.0), (3.0, -1.0)]), points(&[(1.0, -2.0), (2.0, -1.0)])];
        assert_eq!(median(&sets), points(&[(1.0, -2.0), (2.0, -1.0)]));
        assert_eq!(worst(&sets), points(&[(1.0, -3.0), (2.0, -2.0), (3.0, -1.0)]));
        assert_eq!(best(&sets), points(&[(1.0, -2.0), (2.0, -1.0)]));
    }

    #[test]
    fn one_set_is_its_own_surface_and_an_empty_one_attains_nothing() {
        let one = [points(&[(2.0, 0.7), (1.0, 0.5), (1.0, 0.5), (3.0, 0.6), (f64::NAN, 0.9)])];
        let front = points(&[(1.0, 0.5), (2.0, 0.7)]);
        assert_eq!([best(&one), median(&one), worst(&one)], [front.clone(), front.clone(), front.clone()]);
        let with_none = [one[0].clone(), vec![], points(&[(f64::INFINITY, 0.5)])];
        assert_eq!([best(&with_none), median(&with_none), worst(&with_none)], [front, vec![], vec![]]);
        assert_eq!([best(&[]), median(&[]), worst(&[])], [vec![], vec![], vec![]]);
    }

    proptest! {
        #[test]
        fn surfaces_bound_what_so_many_sets_attain(sets in vec(vec((0..6_u8, 0..6_u8), 0..6), 1..6)) {
            let sets: Vec<Vec<Point>> =
                sets.iter().map(|set| set.iter().map(|&(cost, accuracy)| Point { cost: cost.into(), accuracy: accuracy.into() }).collect()).collect();
            let attains = |points: &[Point], place: Point| points.iter().any(|own| own.cost <= place.cost && own.accuracy >= place.accuracy);
            for level in 1..=sets.len() {
                let surface = surface(&sets, level);
                prop_assert_eq!(super::super::non_dominated(&surface).len(), surface.len());
                for (cost, accuracy) in (0..7_u8).flat_map(|cost| (0..7_u8).map(move |accuracy| (cost, accuracy))) {
                    let place = Point { cost: cost.into(), accuracy: accuracy.into() };
                    let n_attaining = sets.iter().filter(|set| attains(set, place)).count();
                    prop_assert_eq!(attains(&surface, place), n_attaining >= level, "{:?} at level {}", place, level);
                }
            }
        }
    }
}
