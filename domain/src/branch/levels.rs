//! Whole convolution levels, dealt out over the exits.

use super::budget::{Counted, Goal, Ledger};
use super::{LINEAR, Site, Size, level_macs};
use crate::pattern::lean;

/// Levels tried for a budget of which nothing says how many levels it takes.
const MAX_TRIED: u64 = 1_000;

/// The number of levels whose total, with the classifiers, comes nearest to the budget.
pub(super) fn nearest(goal: &Goal, ledger: Ledger<'_>, shares: &[f64], level_macs: u64) -> u64 {
    if goal.counted == Counted::Macs {
        return for_macs(goal, ledger, level_macs);
    }
    let spent = |n_levels| (n_levels, ledger.total(&sizes(ledger.site, shares, n_levels)));
    // More levels cost more, but for one that moves to another exit as shares are rounded; twice the budget is well past that.
    let tried = (0..=MAX_TRIED).map(spent).take_while(|(n_levels, spent)| *n_levels == 0 || *spent <= 2.0 * goal.amount);
    let nearest = tried.min_by(|(_, a), (_, b)| goal.miss(*a).total_cmp(&goal.miss(*b)));
    nearest.map_or(0, |(n_levels, _)| n_levels)
}

/// The same where every level costs as much, whatever the shares.
fn for_macs(goal: &Goal, ledger: Ledger<'_>, level_macs: u64) -> u64 {
    let for_levels = (goal.amount - ledger.classifiers()).max(0.0) as u64;
    (for_levels + level_macs / 2) / level_macs
}

/// The number of levels that meets the budget, whatever the pattern; `None` where levels cost different amounts or no whole number of them comes
/// near enough.
pub(super) fn meeting(goal: &Goal, ledger: Ledger<'_>) -> Option<u64> {
    if goal.counted != Counted::Macs {
        return None;
    }
    let level_macs = level_macs(ledger.site.points).ok()?;
    let n_levels = for_macs(goal, ledger, level_macs);
    goal.is_met((n_levels * level_macs) as f64 + ledger.classifiers()).then_some(n_levels)
}

/// Branches of `n_levels` levels in all, each as wide as the trunk where it hangs.
pub(super) fn sizes(site: Site<'_>, shares: &[f64], n_levels: u64) -> Vec<Size> {
    let size = |(depth, channels)| if depth == 0 { LINEAR } else { Size { depth, width: channels, shrinks: false } };
    let channels = site.points.iter().map(|point| point.shape.channels);
    deal(shares, n_levels).into_iter().zip(channels).map(size).collect()
}

/// Rounds `n_levels * shares` to whole numbers of the same sum by largest remainders.
///
/// Equal remainders go to the earlier exit, except where the shares lean to the later exits; so mirrored patterns get mirrored depths.
fn deal(shares: &[f64], n_levels: u64) -> Vec<usize> {
    let wanted: Vec<f64> = shares.iter().map(|share| share * n_levels as f64).collect();
    let mut depths: Vec<usize> = wanted.iter().map(|levels| levels.floor() as usize).collect();
    // Remainders that differ by rounding errors of the shares alone are equal.
    let remainder = |index: usize| ((wanted[index] - wanted[index].floor()) * 1e9).round() as u64;
    let mut order: Vec<usize> = (0..shares.len()).collect();
    if lean(shares) > 0.0 {
        order.reverse();
    }
    order.sort_by_key(|index| std::cmp::Reverse(remainder(*index)));
    let missing = (n_levels as usize).saturating_sub(depths.iter().sum());
    for index in order.into_iter().cycle().take(missing) {
        depths[index] += 1;
    }
    depths
}
