//! Whole convolution levels, dealt out over the exits.

use super::{LINEAR, Site, Size, classifiers_macs, level_macs, within_tolerance};
use crate::pattern::lean;

/// The number of levels whose total, with the classifiers, comes nearest to the budget.
pub(super) fn nearest(site: Site<'_>, level_macs: u64, budget_macs: u64) -> u64 {
    let for_levels = budget_macs.saturating_sub(classifiers_macs(site));
    (for_levels + level_macs / 2) / level_macs
}

/// The number of levels that meets the budget; `None` where levels cost different amounts or no whole number of them comes near enough.
pub(super) fn meeting(site: Site<'_>, budget_macs: u64) -> Option<u64> {
    let level_macs = level_macs(site.points).ok()?;
    let n_levels = nearest(site, level_macs, budget_macs);
    within_tolerance(n_levels * level_macs + classifiers_macs(site), budget_macs).then_some(n_levels)
}

/// Branches of `n_levels` levels in all, each as wide as the trunk where it hangs.
pub(super) fn sizes(site: Site<'_>, shares: &[f64], n_levels: u64) -> Vec<Size> {
    let size = |(depth, channels)| if depth == 0 { LINEAR } else { Size { depth, width: channels } };
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
