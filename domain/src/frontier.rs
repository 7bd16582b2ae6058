//! Who dominates whom, in two dimensions: cost (less is better) and accuracy (more is better).
//!
//! Points with a coordinate that is not finite are nowhere: neither on a frontier nor able to keep another point off it. That holds for
//! everything below this module.
//!
//! - [`non_dominated`], [`insert`]: the frontier of a set, and of a set that grows.
//! - [`hypervolume`], [`hypervolume_3d`]: how much a set dominates.
//! - [`indicators`]: how far one set is behind another, which point bends most, what each contributes.
//! - [`attainment`]: what one gets from the best, the middle and the worst of several repetitions.

pub mod attainment;
pub mod indicators;
mod volume;

#[cfg(test)]
mod tests;

pub use volume::{hypervolume, hypervolume_3d, reference_cost};

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
}

/// An integer that orders as the number does; the two zeros have the same.
const fn rank(value: f64) -> u64 {
    // Adding positive zero turns the negative one into it and leaves all else.
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// The number that has this rank.
const fn ranked(rank: u64) -> f64 {
    f64::from_bits(if rank >> 63 == 0 { !rank } else { rank & !(1 << 63) })
}

/// A point as it is sorted: its coordinates as integers and where it came from, so that no comparison follows an index or meets a NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    cost: u64,
    /// The accuracy's rank upside down: less is better here as well.
    inaccuracy: u64,
    index: usize,
}

impl Entry {
    const fn new(index: usize, point: Point) -> Self {
        Self { cost: rank(point.cost), inaccuracy: !rank(point.accuracy), index }
    }

    const fn point(self) -> Point {
        Point { cost: ranked(self.cost), accuracy: ranked(!self.inaccuracy) }
    }
}

/// Strips of cost that points are first looked at in; the best of each fit into a processor's nearest cache.
const STRIPS: usize = 2_048;

fn entries(points: &[Point]) -> impl Iterator<Item = Entry> {
    points.iter().enumerate().filter(|(_, point)| point.is_finite()).map(|(index, point)| Entry::new(index, *point))
}

/// The finite points without most of those that are dominated, in the order they came in.
///
/// The range of costs is cut into strips, and a point falls when a cheaper strip holds one that is at least as accurate. What is left of
/// points in no particular order is a small part, and only that part has to be sorted. Strips are of one width in cost or, where that puts
/// more of a sample into different ones (costs of many magnitudes, or with an outlier), of one width in rank.
fn sieve(points: &[Point]) -> Vec<Entry> {
    if points.len() < 4 * STRIPS {
        return entries(points).collect();
    }
    let (least, most) = entries(points).fold((u64::MAX, 0), |(least, most), entry| (entry.cost.min(least), entry.cost.max(most)));
    if least >= most {
        return entries(points).collect();
    }
    let shift = (u64::BITS - (most - least).leading_zeros()).saturating_sub(STRIPS.ilog2());
    let by_rank = |entry: Entry| ((entry.cost - least) >> shift) as usize;
    let start = ranked(least);
    let per_unit = STRIPS as f64 / (ranked(most) - start);
    // Each step keeps the order, rounding included, and that is all that matters.
    let by_cost = |entry: Entry| (((ranked(entry.cost) - start) * per_unit) as usize).min(STRIPS - 1);
    let n_strips = |strip: &dyn Fn(Entry) -> usize| {
        let mut strips: Vec<usize> = entries(points).step_by(points.len() / 512).map(strip).collect();
        strips.sort_unstable();
        strips.dedup();
        strips.len()
    };
    if n_strips(&by_cost) >= n_strips(&by_rank) { sieve_by(points, by_cost) } else { sieve_by(points, by_rank) }
}

/// What is left when points fall that a strip below theirs beats. A dearer point must not be in a lower strip.
fn sieve_by(points: &[Point], strip: impl Fn(Entry) -> usize) -> Vec<Entry> {
    let mut best = [u64::MAX; STRIPS];
    for entry in entries(points) {
        let best = &mut best[strip(entry)];
        *best = entry.inaccuracy.min(*best);
    }
    // From the best within a strip to the best of all cheaper strips.
    let mut cheaper = u64::MAX;
    for best in &mut best {
        cheaper = std::mem::replace(best, cheaper).min(cheaper);
    }
    entries(points).filter(|entry| entry.inaccuracy < best[strip(*entry)]).collect()
}

/// The entries that nothing dominates, cheapest first; equal ones in the order they came in.
fn front(mut entries: Vec<Entry>) -> Vec<Entry> {
    // No two are equal, the index being part of them: an unstable sort has one answer.
    entries.sort_unstable();
    let mut best: Option<Entry> = None;
    entries.retain(|entry| {
        let is_kept =
            best.is_none_or(|best| entry.inaccuracy < best.inaccuracy || (entry.inaccuracy == best.inaccuracy && entry.cost == best.cost));
        if is_kept {
            best = Some(*entry);
        }
        is_kept
    });
    entries
}

/// The distinct points of the frontier of `points`, cheapest first: cost and accuracy both rise.
fn steps(points: &[Point]) -> Vec<Point> {
    let mut steps: Vec<Point> = front(sieve(points)).into_iter().map(Entry::point).collect();
    steps.dedup();
    steps
}

/// Indices of the non-dominated points, cheapest first. Equal points are all on the frontier, in the order they came in.
///
/// Takes O(n log n), and close to O(n) where few points are near the frontier. (Kung, Luccio and Preparata, "On finding the maxima of a set
/// of vectors", Journal of the ACM 22(4), 1975: sort by one coordinate, sweep by the other.)
///
/// # Examples
/// ```
/// use offramp_domain::frontier::{Point, non_dominated};
///
/// let points = [(5.0, 0.9), (1.0, 0.7), (3.0, 0.6), (1.0, 0.7)].map(|(cost, accuracy)| Point { cost, accuracy });
/// assert_eq!(non_dominated(&points), [1, 3, 0]);
/// ```
pub fn non_dominated(points: &[Point]) -> Vec<usize> {
    front(sieve(points)).into_iter().map(|entry| entry.index).collect()
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
/// dominated. So frontiers that grow by insertion equal [`non_dominated`] of everything seen. Takes O(n log n) of both together;
/// of a large frontier, the neighbours of the candidates are enough.
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
