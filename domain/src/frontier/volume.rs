//! Hypervolumes (Zitzler and Thiele, "Multiobjective evolutionary algorithms: a comparative case study and the strength Pareto approach",
//! IEEE Transactions on Evolutionary Computation 3(4), 1999): how much of the space is dominated, up to a reference.
//!
//! Both are sums of terms that are not negative, each right to a few units in the last place, added with what rounding loses carried
//! along; so the relative error does not grow with the number of points.

use std::collections::BTreeMap;

use super::{Point, front, rank, ranked, sieve};

/// A running sum with the rounding errors of its additions beside it (Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation
/// endlicher Summen", ZAMM 54(1), 1974). Twice the precision, as long as what was added is what is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Sum {
    high: f64,
    low: f64,
}

impl Sum {
    pub(super) fn add(&mut self, term: f64) {
        let sum = self.high + term;
        self.low += if self.high.abs() >= term.abs() { (self.high - sum) + term } else { (term - sum) + self.high };
        self.high = sum;
    }

    pub(super) fn value(self) -> f64 {
        // Where the sum is past all numbers, the errors are not numbers.
        if self.high.is_finite() { self.high + self.low } else { self.high }
    }
}

/// What `point` dominates beyond accuracy `below`, up to the reference.
fn strip(point: Point, below: f64, reference: Point) -> f64 {
    let (width, height) = (reference.cost - point.cost, point.accuracy - below.max(reference.accuracy));
    if width > 0.0 && height > 0.0 { width * height } else { 0.0 }
}

/// Area dominated by `points` up to the reference (`reference.cost` and `reference.accuracy` bound it from the worse side).
///
/// Points that are not better than the reference in both coordinates contribute nothing. Takes as long as [`super::non_dominated`].
///
/// # Units
/// The cost's unit times accuracy.
pub fn hypervolume(points: &[Point], reference: Point) -> f64 {
    let mut area = Sum::default();
    let mut below = reference.accuracy;
    // Along the frontier accuracy only rises: each point adds the strip between the accuracy reached before and its own. Points beyond the
    // reference need no exception: dearer ones come last and have no width, less accurate ones have no height.
    for entry in front(sieve(points)) {
        let point = entry.point();
        area.add(strip(point, below, reference));
        below = below.max(point.accuracy);
    }
    area.value()
}

/// Where hypervolumes end on the side of the costs: the least power of two that is not below the greatest cost, of those that are neither subnormal
/// nor beyond the largest number; 1 for a cost that is not positive. It hardly ever moves while points come, so hypervolumes stay comparable.
///
/// # Examples
/// ```
/// use offramp_domain::frontier::reference_cost;
///
/// assert_eq!([3.0, 4.0, 4.5].map(reference_cost), [4.0, 4.0, 8.0]);
/// ```
pub fn reference_cost(greatest: f64) -> f64 {
    const MANTISSA_BITS: u32 = 52;
    if greatest <= 0.0 {
        return 1.0;
    }
    let exponent = greatest.to_bits() >> MANTISSA_BITS;
    let power = f64::from_bits(exponent << MANTISSA_BITS);
    if power == greatest { greatest } else { f64::from_bits((exponent + 1) << MANTISSA_BITS).min(f64::MAX) }
}

/// Volume dominated by points of three coordinates, of which less is better in each: cost, parameters, error (1 - accuracy).
///
/// Points that are not better than the reference in every coordinate contribute nothing, nor do points that are not finite.
/// Takes O(n log n): a sweep along the third coordinate over a staircase of the first two (Beume, Fonseca, López-Ibáñez, Paquete, Vahrenhold,
/// "On the complexity of computing the hypervolume indicator", IEEE Transactions on Evolutionary Computation 13(5), 2009).
///
/// # Units
/// The product of the three.
///
/// # Examples
/// ```
/// use offramp_domain::frontier::hypervolume_3d;
///
/// // Two boxes of 2 x 1 x 1 and 1 x 2 x 1 up to the reference, with a cube of 1 in common.
/// let points = [[1.0, 2.0, 0.0], [2.0, 1.0, 0.0]];
/// assert_eq!(hypervolume_3d(&points, [3.0, 3.0, 1.0]), 3.0);
/// ```
pub fn hypervolume_3d(points: &[[f64; 3]], reference: [f64; 3]) -> f64 {
    let is_better = |point: &&[f64; 3]| point.iter().zip(&reference).all(|(own, most)| own.is_finite() && own < most);
    let mut sorted: Vec<[u64; 3]> = points.iter().filter(is_better).map(|&[cost, second, third]| [third, cost, second].map(rank)).collect();
    sorted.sort_unstable();
    let mut volume = Sum::default();
    // Second coordinate by first, as ranks: what is not dominated so far, with the third left aside. The second falls as the first rises.
    let mut staircase: BTreeMap<u64, u64> = BTreeMap::new();
    for [third, first, second] in sorted {
        let before = staircase.range(..=first).next_back().map(|(_, &second)| second);
        if before.is_some_and(|before| before <= second) {
            continue;
        }
        // What is new of the area stays dominated up to the reference. It is cut at the steps that the point ends: each reaches from its own
        // first coordinate to the next one's, and was dominated from its second coordinate upwards.
        let mut added = Sum::default();
        let mut left = ranked(first);
        let mut top = before.map_or(reference[1], ranked);
        loop {
            let next = staircase.range(first..).next().map(|(&first, &second)| (first, second));
            let right = next.map_or(reference[0], |(first, _)| ranked(first));
            added.add((right - left) * (top - ranked(second)));
            let Some((next_first, next_second)) = next.filter(|&(_, next_second)| next_second >= second) else { break };
            staircase.remove(&next_first);
            (left, top) = (right, ranked(next_second));
        }
        staircase.insert(first, second);
        volume.add(added.value() * (reference[2] - ranked(third)));
    }
    volume.value()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sum_keeps_what_rounding_loses() {
        let mut sum = Sum::default();
        for term in [1.0, 1e100, 1.0, -1e100] {
            sum.add(term);
        }
        assert_eq!(sum.value(), 2.0);
        sum.add(f64::INFINITY);
        sum.add(1.0);
        assert_eq!(sum.value(), f64::INFINITY);
    }

    #[test]
    fn boxes_have_the_volume_that_one_calculates_by_hand() {
        let reference = [4.0, 4.0, 4.0];
        assert_eq!(hypervolume_3d(&[], reference), 0.0);
        assert_eq!(hypervolume_3d(&[[1.0, 2.0, 3.0]], reference), 6.0);
        // A point twice, one that is dominated, and ones that are no better than the reference or not finite.
        let same =
            [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 3.0, 3.0], [4.0, 0.0, 0.0], [f64::NAN, 0.0, 0.0], [f64::NEG_INFINITY, 0.0, 0.0]];
        assert_eq!(hypervolume_3d(&same, reference), 6.0);
        // Three slabs 3 x 3 x 1 along the axes: 27 - 3 x 3 (each two share a bar of 3 x 1 x 1) + 1 (all share a cube).
        let slabs = [[1.0, 1.0, 3.0], [1.0, 3.0, 1.0], [3.0, 1.0, 1.0]];
        assert_eq!(hypervolume_3d(&slabs, reference), 19.0);
    }

    proptest! {
        #[test]
        fn volume_counts_dominated_cells(points in vec([0..6_u8, 0..6, 0..6], 0..25)) {
            let is_dominated = |cell: [u8; 3]| points.iter().any(|point| point.iter().zip(&cell).all(|(own, cell)| own <= cell));
            let cells = (0..5).flat_map(|a| (0..5).flat_map(move |b| (0..5).map(move |c| [a, b, c])));
            let count = cells.filter(|cell| is_dominated(*cell)).count();
            let points: Vec<[f64; 3]> = points.iter().map(|point| point.map(f64::from)).collect();
            prop_assert_eq!(hypervolume_3d(&points, [5.0; 3]), count as f64);
        }
    }
}
