//! A frontier that is kept while points come and go.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use super::volume::{Sum, strip};
use super::{Point, rank};

/// A frontier, ordered by cost, whose points carry ids. Equal points are all on it.
///
/// What was offered and is dominated is not kept: see [`Staircase::remove`] for what that asks of the caller.
/// `offer` takes O(log n) and as much again for each step that it displaces, which happens to a step once.
///
/// The [`hypervolume`](Self::hypervolume) up to a fixed reference is kept along, right to 1e-12 relative.
///
/// # Examples
/// ```
/// use offramp_domain::frontier::{Offer, Point, Staircase};
///
/// let mut staircase = Staircase::new(Point { cost: 10.0, accuracy: 0.0 });
/// assert_eq!(staircase.offer(Point { cost: 4.0, accuracy: 0.5 }, "a"), Offer::Entered { displaced: vec![] });
/// assert_eq!(staircase.offer(Point { cost: 5.0, accuracy: 0.5 }, "b"), Offer::Dominated);
/// assert_eq!(staircase.hypervolume(), 3.0);
/// let Offer::Entered { displaced } = staircase.offer(Point { cost: 2.0, accuracy: 0.5 }, "c") else { unreachable!() };
/// assert_eq!(displaced, [(Point { cost: 4.0, accuracy: 0.5 }, "a")]);
/// assert_eq!(staircase.hypervolume(), 4.0);
/// ```
#[derive(Debug, Clone)]
pub struct Staircase<I> {
    /// By the rank of their cost; their accuracies rise.
    steps: BTreeMap<u64, Step<I>>,
    n_points: usize,
    reference: Point,
    area: Sum,
    /// The largest area since it was last added up anew.
    peak: f64,
}

#[derive(Debug, Clone)]
struct Step<I> {
    point: Point,
    /// Of the points that are equal to this one, in the order they were offered.
    ids: Vec<I>,
}

/// What became of a point that was offered.
#[derive(Debug, Clone, PartialEq)]
pub enum Offer<I> {
    /// It is not on the frontier: a point of it dominates this one, or this one is not finite.
    Dominated,
    /// It is on the frontier.
    Entered {
        /// The points that are not any more, cheapest first; equal ones in the order they were offered.
        displaced: Vec<(Point, I)>,
    },
}

/// What became of a point that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Removal {
    /// The frontier had no such point with this id; nothing has changed. So it is with points that are dominated.
    Absent,
    /// It is gone, and an equal point holds its place: what they dominate stays dominated.
    Shared,
    /// It is gone, and nothing else dominates what lies here.
    Opened(Gap),
}

/// What one point of a frontier dominates alone: costs from its own up to the next step's, accuracies from its own down to the last step's.
///
/// Exactly the points in here were kept off the frontier by that point alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gap {
    /// The removed point: a point in the gap costs at least as much and is at most as accurate.
    pub corner: Point,
    /// A point in the gap costs less than this: the next step's cost, or infinity.
    pub cost_below: f64,
    /// A point in the gap is more accurate than this: the last step's accuracy, or negative infinity.
    pub accuracy_above: f64,
}

impl Gap {
    /// Whether a point lies in the gap.
    pub fn contains(&self, point: Point) -> bool {
        let costs = self.corner.cost <= point.cost && point.cost < self.cost_below;
        costs && self.accuracy_above < point.accuracy && point.accuracy <= self.corner.accuracy
    }
}

/// By how much the area may have shrunk since it was added up: what additions may have lost is 2^-104 of the largest.
const SHRUNK: f64 = 1.0 / (1_u64 << 40) as f64;

impl<I> Staircase<I> {
    /// An empty frontier, whose hypervolume is taken up to `reference`.
    ///
    /// # Panics
    /// When the reference is not finite.
    pub fn new(reference: Point) -> Self {
        assert!(reference.is_finite(), "no area reaches up to {reference:?}");
        Self { steps: BTreeMap::new(), n_points: 0, reference, area: Sum::default(), peak: 0.0 }
    }

    /// How many points are on the frontier, equal ones counted each.
    pub const fn len(&self) -> usize {
        self.n_points
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.n_points == 0
    }

    /// The points with their ids, cheapest first; equal ones in the order they were offered.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Point, &I)> {
        self.steps.values().flat_map(|step| step.ids.iter().map(|id| (step.point, id)))
    }

    /// Up to where the hypervolume is taken.
    pub const fn reference(&self) -> Point {
        self.reference
    }

    /// Takes the hypervolume up to another reference from now on, in O(n).
    ///
    /// # Panics
    /// When the reference is not finite.
    pub fn set_reference(&mut self, reference: Point) {
        assert!(reference.is_finite(), "no area reaches up to {reference:?}");
        self.reference = reference;
        self.add_up();
    }

    /// Area dominated up to the reference: [`super::hypervolume`] of the points, within 1e-12 relative.
    ///
    /// # Units
    /// The cost's unit times accuracy.
    pub fn hypervolume(&self) -> f64 {
        self.area.value()
    }

    /// Whether the point would be on the frontier: it is finite, and no point of the frontier dominates it.
    pub fn admits(&self, point: Point) -> bool {
        // The last step that is no dearer is the most accurate of those.
        let best = self.steps.range(..=rank(point.cost)).next_back().map(|(_, step)| step.point);
        point.is_finite() && best.is_none_or(|best| !best.dominates(point))
    }

    /// Adds a point, unless one of the frontier dominates it. A pair of point and id that is there already is there twice then.
    pub fn offer(&mut self, point: Point, id: I) -> Offer<I> {
        if !self.admits(point) {
            return Offer::Dominated;
        }
        let cost = rank(point.cost);
        self.n_points += 1;
        if let Some(step) = self.steps.get_mut(&cost).filter(|step| step.point == point) {
            step.ids.push(id);
            return Offer::Entered { displaced: Vec::new() };
        }
        let below = self.accuracy_below(cost);
        let mut last = below;
        let mut displaced = Vec::new();
        while let Some((&next, step)) = self.steps.range(cost..).next()
            && step.point.accuracy <= point.accuracy
        {
            let step = self.steps.remove(&next).expect("it was just there");
            self.area.add(-strip(step.point, last, self.reference));
            last = step.point.accuracy;
            self.n_points -= step.ids.len();
            displaced.extend(step.ids.into_iter().map(|id| (step.point, id)));
        }
        if let Some(next) = self.after(cost) {
            self.area.add(-strip(next, last, self.reference));
            self.area.add(strip(next, point.accuracy, self.reference));
        }
        self.area.add(strip(point, below, self.reference));
        self.steps.insert(cost, Step { point, ids: vec![id] });
        self.keep_exact();
        Offer::Entered { displaced }
    }

    /// The point of the next dearer step.
    fn after(&self, cost: u64) -> Option<Point> {
        self.steps.range((Excluded(cost), Unbounded)).next().map(|(_, step)| step.point)
    }

    /// The accuracy of the next cheaper step.
    fn accuracy_below(&self, cost: u64) -> f64 {
        self.steps.range(..cost).next_back().map_or(f64::NEG_INFINITY, |(_, step)| step.point.accuracy)
    }

    /// Adds the area up anew where it has shrunk so far that the lost digits of what was taken away could show.
    fn keep_exact(&mut self) {
        let area = self.area.value();
        if self.steps.is_empty() || area < self.peak * SHRUNK || !area.is_finite() {
            self.add_up();
        } else {
            self.peak = self.peak.max(area);
        }
    }

    fn add_up(&mut self) {
        self.area = Sum::default();
        let mut below = f64::NEG_INFINITY;
        for step in self.steps.values() {
            self.area.add(strip(step.point, below, self.reference));
            below = step.point.accuracy;
        }
        self.peak = self.area.value();
    }
}

impl<I: PartialEq> Staircase<I> {
    /// Removes a point by its place and id (the first, where the same id was offered there more than once).
    ///
    /// Points that only the removed one dominated are not known here. Where a [`Gap`] opens, the caller offers every point that it knows in
    /// that gap ([`Gap::contains`]), in any order, except the removed one; offering more does no harm. After that the frontier is what
    /// [`super::non_dominated`] says of everything that was offered and not removed. Removing a point that is dominated changes nothing.
    pub fn remove(&mut self, point: Point, id: &I) -> Removal {
        let cost = rank(point.cost);
        let Some(step) = self.steps.get_mut(&cost).filter(|step| step.point == point) else { return Removal::Absent };
        let Some(index) = step.ids.iter().position(|own| own == id) else { return Removal::Absent };
        step.ids.remove(index);
        self.n_points -= 1;
        if !step.ids.is_empty() {
            return Removal::Shared;
        }
        let corner = step.point;
        self.steps.remove(&cost);
        let (below, next) = (self.accuracy_below(cost), self.after(cost));
        self.area.add(-strip(corner, below, self.reference));
        if let Some(next) = next {
            self.area.add(-strip(next, corner.accuracy, self.reference));
            self.area.add(strip(next, below, self.reference));
        }
        self.keep_exact();
        let cost_below = next.map_or(f64::INFINITY, |next| next.cost);
        Removal::Opened(Gap { corner, cost_below, accuracy_above: below })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::{hypervolume, non_dominated};
    use super::*;

    const REFERENCE: Point = Point { cost: 6.0, accuracy: 1.0 };

    fn point(cost: f64, accuracy: f64) -> Point {
        Point { cost, accuracy }
    }

    #[test]
    fn equal_points_hold_each_others_place() {
        let mut staircase = Staircase::new(REFERENCE);
        for id in [7, 8, 9] {
            assert_eq!(staircase.offer(point(2.0, 3.0), id), Offer::Entered { displaced: vec![] });
        }
        assert_eq!((staircase.len(), staircase.hypervolume()), (3, 8.0));
        assert_eq!(staircase.remove(point(2.0, 3.0), &8), Removal::Shared);
        assert_eq!(staircase.remove(point(2.0, 3.0), &8), Removal::Absent);
        assert_eq!(staircase.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [7, 9]);
        let Offer::Entered { displaced } = staircase.offer(point(2.0, 4.0), 1) else { panic!("it is better") };
        assert_eq!(displaced, [(point(2.0, 3.0), 7), (point(2.0, 3.0), 9)]);
        assert_eq!((staircase.len(), staircase.hypervolume()), (1, 12.0));
    }

    #[test]
    fn a_gap_is_what_one_point_dominated_alone() {
        let mut staircase = Staircase::new(REFERENCE);
        for (id, place) in [point(1.0, 2.0), point(2.0, 4.0), point(4.0, 5.0)].into_iter().enumerate() {
            assert_eq!(staircase.offer(place, id), Offer::Entered { displaced: vec![] });
        }
        let Removal::Opened(gap) = staircase.remove(point(2.0, 4.0), &1) else { panic!("it was alone") };
        assert_eq!(gap, Gap { corner: point(2.0, 4.0), cost_below: 4.0, accuracy_above: 2.0 });
        for (place, inside) in [
            (point(2.0, 4.0), true),
            (point(3.0, 3.0), true),
            (point(4.0, 4.0), false),
            (point(3.0, 2.0), false),
            (point(1.0, 3.0), false),
            (point(3.0, 5.0), false),
        ] {
            assert_eq!(gap.contains(place), inside, "{place:?}");
        }
        assert_eq!(staircase.remove(point(1.0, 2.0), &9), Removal::Absent);
        let Removal::Opened(gap) = staircase.remove(point(1.0, 2.0), &0) else { panic!("it was alone") };
        assert_eq!((gap.cost_below, gap.accuracy_above), (4.0, f64::NEG_INFINITY));
        let Removal::Opened(gap) = staircase.remove(point(4.0, 5.0), &2) else { panic!("it was alone") };
        assert_eq!((gap.cost_below, gap.accuracy_above), (f64::INFINITY, f64::NEG_INFINITY));
        assert!(staircase.is_empty());
        assert_eq!(staircase.hypervolume().to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn points_that_are_not_finite_never_enter() {
        let mut staircase = Staircase::new(REFERENCE);
        for strange in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(staircase.offer(point(strange, 2.0), 0), Offer::Dominated);
            assert_eq!(staircase.offer(point(1.0, strange), 0), Offer::Dominated);
        }
        assert_eq!(staircase.remove(point(f64::NAN, 2.0), &0), Removal::Absent);
        assert!(staircase.is_empty());
    }

    #[test]
    fn a_small_area_is_right_after_a_vast_one_is_gone() {
        let mut staircase = Staircase::new(point(1e30, 0.0));
        staircase.offer(point(1e30 - 1e15, 1e-10), 0);
        let small = staircase.hypervolume();
        for id in 1..1_000 {
            staircase.offer(point(f64::from(id), 1e20 * f64::from(id)), id);
        }
        for id in 1..1_000 {
            staircase.remove(point(f64::from(id), 1e20 * f64::from(id)), &id);
        }
        staircase.offer(point(1e30 - 1e15, 1e-10), 0);
        assert_eq!(staircase.hypervolume(), small);
    }

    /// What is done to a frontier: a point is offered, or the one of that number is removed.
    fn actions() -> impl Strategy<Value = Vec<(bool, usize, Point)>> {
        let coordinate = prop_oneof![30 => (0..8_i32).prop_map(f64::from), 1 => Just(f64::NAN), 1 => Just(-0.0)];
        let action = (any::<bool>(), 0..60_usize, coordinate.clone(), coordinate);
        vec(action.prop_map(|(removes, which, cost, accuracy)| (removes, which, Point { cost: cost * 0.1, accuracy })), 0..80)
    }

    proptest! {
        #[test]
        fn any_sequence_leaves_the_frontier_of_what_is_there(actions in actions(), reference_cost in 0..9_i32) {
            let mut staircase = Staircase::new(REFERENCE);
            let mut all: Vec<Option<Point>> = Vec::new();
            for (removes, which, place) in actions {
                if removes && !all.is_empty() {
                    let which = which % all.len();
                    let Some(gone) = all[which].take() else { continue };
                    if let Removal::Opened(gap) = staircase.remove(gone, &which) {
                        for (id, known) in all.iter().enumerate() {
                            if let Some(known) = known.filter(|known| gap.contains(*known)) {
                                staircase.offer(known, id);
                            }
                        }
                    }
                } else {
                    let admitted = staircase.admits(place);
                    let offer = staircase.offer(place, all.len());
                    prop_assert_eq!(admitted, offer != Offer::Dominated);
                    all.push(Some(place));
                }
                let there: Vec<(usize, Point)> = all.iter().enumerate().filter_map(|(id, known)| Some((id, (*known)?))).collect();
                let points: Vec<Point> = there.iter().map(|(_, place)| *place).collect();
                let mut expected: Vec<usize> = non_dominated(&points).into_iter().map(|index| there[index].0).collect();
                let mut have: Vec<usize> = staircase.iter().map(|(_, id)| *id).collect();
                prop_assert!(staircase.iter().is_sorted_by(|(a, _), (b, _)| a.cost <= b.cost && a.accuracy <= b.accuracy));
                prop_assert_eq!(staircase.len(), have.len());
                expected.sort_unstable();
                have.sort_unstable();
                prop_assert_eq!(have, expected);
                let area = hypervolume(&points, REFERENCE);
                prop_assert!((staircase.hypervolume() - area).abs() <= 1e-12 * area, "{} for {area}", staircase.hypervolume());
            }
            let other = Point { cost: f64::from(reference_cost) * 0.1, accuracy: 2.0 };
            staircase.set_reference(other);
            let points: Vec<Point> = all.iter().copied().flatten().collect();
            let area = hypervolume(&points, other);
            prop_assert!((staircase.hypervolume() - area).abs() <= 1e-12 * area);
        }
    }
}
