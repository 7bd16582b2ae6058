//! What accepted points do to one frontier, and to the area under it.
//!
//! A point changes a frontier only next to itself. So all that is needed of a frontier is each candidate's neighbours, wherever they come from:
//! the last point that costs no more, the first one that costs no less and is more accurate, and what lies in between, which the candidate displaces.

use std::collections::HashSet;

use offramp_domain::frontier::{self, Insertion, Point};

/// What a frontier came to when it was last advanced.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Extent {
    /// When, unix microseconds.
    pub(super) at_us: i64,
    /// Area up to the references.
    pub(super) hypervolume: f64,
    /// 0 while there was no point.
    pub(super) reference_cost: f64,
}

/// What candidates do to a frontier.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Advance {
    /// Candidates that are on it now, cheapest first.
    pub(super) entered: Vec<usize>,
    /// Neighbours that are no longer, each with a candidate that dominates it: the most accurate, of equal ones the first.
    pub(super) displaced: Vec<(usize, usize)>,
    /// Area after it.
    pub(super) hypervolume: f64,
    /// Up to where the area counts after it.
    pub(super) reference_cost: f64,
}

/// Advances a frontier by `candidates`, of which `neighbours` has all neighbours, each once; `None` where it stays as it is.
///
/// `reference_accuracy` is where the area begins: what is less accurate adds nothing.
pub(super) fn advance(extent: Extent, reference_accuracy: f64, neighbours: &[Point], candidates: &[Point]) -> Option<Advance> {
    let Insertion { entered, displaced } = frontier::insert(neighbours, candidates);
    let dearest = entered.last().map(|&index| candidates[index].cost)?;
    let by = |old: usize| {
        // Along the frontier accuracy rises with cost: of the entrants that cost no more, the last ones are the most accurate.
        let n_affordable = entered.partition_point(|&index| candidates[index].cost <= neighbours[old].cost);
        let best = candidates[entered[n_affordable - 1]].cost;
        entered[entered.partition_point(|&index| candidates[index].cost < best)]
    };
    let displaced: Vec<(usize, usize)> = displaced.into_iter().map(|old| (old, by(old))).collect();

    let reference_cost = if extent.reference_cost <= 0.0 || dearest > extent.reference_cost {
        frontier::reference_cost(dearest)
    } else {
        extent.reference_cost
    };
    let above = |accuracy: f64| (accuracy.min(1.0) - reference_accuracy).max(0.0);
    let mut old: Vec<Point> = neighbours.to_vec();
    old.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    // Height of the old frontier at a cost that one of the candidates has.
    let height_at = |cost: f64| match old.partition_point(|point| point.cost <= cost) {
        0 => 0.0,
        n_affordable => above(old[n_affordable - 1].accuracy),
    };
    let mut hypervolume = extent.hypervolume;
    if reference_cost > extent.reference_cost && extent.reference_cost > 0.0 {
        // Whatever is dearer than the old reference has the whole old frontier before it.
        hypervolume += (reference_cost - extent.reference_cost) * height_at(dearest);
    }
    let gone: HashSet<usize> = displaced.iter().map(|(old, _)| *old).collect();
    let staying = (0..neighbours.len()).filter(|index| !gone.contains(index)).map(|index| neighbours[index].cost);
    let mut costs: Vec<f64> = staying.chain(entered.iter().map(|&index| candidates[index].cost)).collect();
    costs.sort_by(f64::total_cmp);
    let mut from = f64::NEG_INFINITY;
    for &index in &entered {
        let point = candidates[index];
        if point.cost <= from {
            continue;
        }
        from = point.cost;
        let until = costs.get(costs.partition_point(|cost| *cost <= from)).copied().unwrap_or(reference_cost);
        // The old frontier's steps from here to where the next point of the new one begins.
        let (mut at, mut height) = (from, height_at(from));
        let first = old.partition_point(|step| step.cost <= from);
        for step in old[first..].iter().take_while(|step| step.cost < until) {
            hypervolume += (step.cost - at) * (above(point.accuracy) - height);
            (at, height) = (step.cost, above(step.accuracy));
        }
        hypervolume += (until - at) * (above(point.accuracy) - height);
    }
    Some(Advance { entered, displaced, hypervolume, reference_cost })
}
