//! Branches of one depth, width solved for.

use super::{LINEAR, Site, Size, macs, total_macs, within_tolerance};
use crate::exits::AttachPoint;

/// Most channels that one of two exits moved together may gain or lose at once: with one, small backbones miss budgets often, with three rarely;
/// more would no longer be the pattern that was asked for.
const PAIR_REACH: usize = 3;

/// Branches of `depth` convolutions each whose total is near `budget_macs`.
///
/// Widths start at the nearest to each exit's share. Then the one channel more or less that brings the total nearest to the budget is
/// taken, until none brings it nearer. Only where that ends outside the tolerance two exits are moved together, by as few channels as help.
pub(super) fn sizes(site: Site<'_>, shares: &[f64], budget_macs: u64, depth: u32) -> Vec<Size> {
    let depth = depth as usize;
    let start = site.points.iter().zip(shares).map(|(point, share)| start(*point, share * budget_macs as f64, depth, site.n_classes));
    let mut sizes: Vec<Size> = start.collect();
    let mut total = total_macs(site, &sizes);
    while let Some(change) = repair(site, &sizes, total, budget_macs) {
        total = total.saturating_add_signed(change.macs);
        for step in change.steps.into_iter().flatten() {
            sizes[step.exit] = step.size;
        }
    }
    sizes
}

/// The next change; `None` where no more is wanted or none helps.
fn repair(site: Site<'_>, sizes: &[Size], total: u64, budget_macs: u64) -> Option<Change> {
    let single = best_of(singles(site, sizes), total, budget_macs);
    if single.is_some() || within_tolerance(total, budget_macs) {
        return single;
    }
    (1..=PAIR_REACH).find_map(|reach| best_of(pairs(site, sizes, reach), total, budget_macs))
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

/// One branch made wider or narrower.
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

/// Every step of at most `reach` channels. Linear classifiers stay what they are, and no branch becomes one.
fn steps(site: Site<'_>, sizes: &[Size], reach: usize) -> impl Iterator<Item = Step> {
    let of_exit = move |(exit, (point, size)): (usize, (&AttachPoint, &Size))| {
        let (point, size) = (*point, *size);
        let before = macs(point, size, site.n_classes) as i64;
        let widths = (1..=reach).flat_map(move |channels| [size.width + channels, size.width.saturating_sub(channels)]);
        widths.filter(move |width| size != LINEAR && *width > 0).map(move |width| {
            let size = Size { width, ..size };
            Step { exit, size, macs: macs(point, size, site.n_classes) as i64 - before }
        })
    };
    site.points.iter().zip(sizes).enumerate().flat_map(of_exit)
}

fn singles(site: Site<'_>, sizes: &[Size]) -> impl Iterator<Item = Change> {
    steps(site, sizes, 1).map(|step| Change { steps: [Some(step), None], macs: step.macs })
}

fn pairs(site: Site<'_>, sizes: &[Size], reach: usize) -> impl Iterator<Item = Change> {
    let pair = |first: Step, second: Step| Change { steps: [Some(first), Some(second)], macs: first.macs + second.macs };
    let with_later = move |first: Step| {
        let later = steps(site, sizes, reach).filter(move |second| second.exit > first.exit);
        later.map(move |second| pair(first, second))
    };
    steps(site, sizes, reach).flat_map(with_later)
}

/// The change that brings the total nearest to the budget, the first of several; `None` where none brings it nearer.
fn best_of(changes: impl Iterator<Item = Change>, total: u64, budget_macs: u64) -> Option<Change> {
    let miss = |change: &Change| total.saturating_add_signed(change.macs).abs_diff(budget_macs);
    changes.min_by_key(miss).filter(|change| miss(change) < total.abs_diff(budget_macs))
}
