//! Who dominates whom, in two dimensions: cost (less is better) and accuracy (more is better).

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
}

/// Indices of the non-dominated points, cheapest first. Equal points are all on the frontier.
pub fn non_dominated(_points: &[Point]) -> Vec<usize> {
    todo!()
}

/// Area dominated by `points` up to the reference (`reference.cost` and `reference.accuracy` bound it from the worse side).
pub fn hypervolume(_points: &[Point], _reference: Point) -> f64 {
    todo!()
}
