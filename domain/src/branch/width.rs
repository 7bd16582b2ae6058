//! Branches of one depth, width solved for.

use super::{LINEAR, Site, Size, macs, total_macs, within_tolerance};
use crate::exits::AttachPoint;

/// Branches of `depth` convolutions each whose total comes as near to `budget_macs` as single steps in width can bring it, and double steps where
/// those leave it outside the tolerance.
pub(super) fn sizes(site: Site<'_>, shares: &[f64], budget_macs: u64, depth: u32) -> Vec<Size> {
    let depth = depth as usize;
    let start = site.points.iter().zip(shares).map(|(point, share)| start(*point, share * budget_macs as f64, depth, site.n_classes));
    let mut sizes: Vec<Size> = start.collect();
    let mut total = total_macs(site, &sizes);
    loop {
        let single = best_of(singles(site, &sizes), total, budget_macs);
        let best = match single {
            None if !within_tolerance(total, budget_macs) => best_of(pairs(site, &sizes), total, budget_macs),
            _ => single,
        };
        let Some(change) = best else { return sizes };
        total = total.saturating_add_signed(change.macs);
        for step in change.steps.into_iter().flatten() {
            sizes[step.exit] = step.size;
        }
    }
}

/// The branch nearest to `share_macs`, or a linear classifier where that does not pay for one channel.
fn start(point: AttachPoint, share_macs: f64, depth: usize, n_classes: usize) -> Size {
    if share_macs < macs(point, Size { depth, width: 1 }, n_classes) as f64 {
        return LINEAR;
    }
    let positions = point.shape.positions();
    let quadratic = (9 * (depth - 1) * positions) as f64;
    let linear = (9 * point.shape.channels * positions + n_classes) as f64;
    // The positive root of quadratic w^2 + linear w = share_macs, in the form that also holds where `quadratic` is 0.
    let width = 2.0 * share_macs / (linear + (linear * linear + 4.0 * quadratic * share_macs).sqrt());
    Size { depth, width: (width.round() as usize).max(1) }
}

/// One branch made wider or narrower by a channel.
#[derive(Debug, Clone, Copy)]
struct Step {
    exit: usize,
    size: Size,
    macs: i64,
}

/// One or two steps at different exits, and what they add to the total.
#[derive(Debug, Clone, Copy)]
struct Change {
    steps: [Option<Step>; 2],
    macs: i64,
}

/// Every step there is. Linear classifiers stay what they are, and no branch becomes one.
fn steps(site: Site<'_>, sizes: &[Size]) -> impl Iterator<Item = Step> + Clone {
    let both_ways = move |(exit, (point, size)): (usize, (&AttachPoint, &Size))| {
        let (point, size) = (*point, *size);
        let before = macs(point, size, site.n_classes) as i64;
        [size.width + 1, size.width.saturating_sub(1)].into_iter().filter(move |width| size != LINEAR && *width > 0).map(move |width| {
            let size = Size { width, ..size };
            Step { exit, size, macs: macs(point, size, site.n_classes) as i64 - before }
        })
    };
    site.points.iter().zip(sizes).enumerate().flat_map(both_ways)
}

fn singles(site: Site<'_>, sizes: &[Size]) -> impl Iterator<Item = Change> {
    steps(site, sizes).map(|step| Change { steps: [Some(step), None], macs: step.macs })
}

fn pairs(site: Site<'_>, sizes: &[Size]) -> impl Iterator<Item = Change> {
    let with_later =
        move |first: Step| steps(site, sizes).filter(move |second| second.exit > first.exit).map(move |second| (first, second));
    steps(site, sizes)
        .flat_map(with_later)
        .map(|(first, second)| Change { steps: [Some(first), Some(second)], macs: first.macs + second.macs })
}

/// The change that brings the total nearest to the budget, the first of several; `None` where none brings it nearer.
fn best_of(changes: impl Iterator<Item = Change>, total: u64, budget_macs: u64) -> Option<Change> {
    let miss = |change: &Change| total.saturating_add_signed(change.macs).abs_diff(budget_macs);
    changes.min_by_key(miss).filter(|change| miss(change) < total.abs_diff(budget_macs))
}
