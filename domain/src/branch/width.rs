//! Branches of one depth, width solved for.

use super::budget::{Goal, Ledger};
use super::{LINEAR, Size};

/// Most channels that one of two exits moved together may gain or lose at once: with one, small backbones miss budgets often, with three rarely;
/// more would no longer be the pattern that was asked for.
const PAIR_REACH: usize = 3;

/// Branches of `depth` convolutions each whose total is near the goal; all of them counted in full are to come to `total`.
///
/// Widths start at the nearest to each exit's share. Then the one channel more or less that brings the total nearest to the budget is
/// taken, until none brings it nearer. Only where that ends outside the tolerance two exits are moved together, by as few channels as help.
pub(super) fn sizes(goal: &Goal, ledger: Ledger<'_>, shares: &[f64], total: f64, depth: usize) -> Vec<Size> {
    let start = |(exit, share): (usize, &f64)| start(ledger, exit, share * total + ledger.replaced(), depth);
    let mut sizes: Vec<Size> = shares.iter().enumerate().map(start).collect();
    repair(goal, ledger, &mut sizes);
    sizes
}

/// Moves widths until the total is as near to the goal as it gets.
pub(super) fn repair(goal: &Goal, ledger: Ledger<'_>, sizes: &mut [Size]) {
    let mut spent = ledger.total(sizes);
    while let Some(change) = next(goal, ledger, sizes, spent) {
        for step in change.steps.into_iter().flatten() {
            sizes[step.exit] = step.size;
        }
        // Summed anew, so that rounding errors of parts of inputs do not add up.
        spent = ledger.total(sizes);
    }
}

/// The next change; `None` where no more is wanted or none helps.
fn next(goal: &Goal, ledger: Ledger<'_>, sizes: &[Size], spent: f64) -> Option<Change> {
    let single = best_of(singles(ledger, sizes), goal, spent);
    if single.is_some() || goal.is_met(spent) {
        return single;
    }
    (1..=PAIR_REACH).find_map(|reach| best_of(pairs(ledger, sizes, reach), goal, spent))
}

/// The branch nearest to what is to be spent on it, or a linear classifier where that does not pay for one channel.
fn start(ledger: Ledger<'_>, exit: usize, to_spend: f64, depth: usize) -> Size {
    if to_spend < ledger.full(exit, Size { depth, width: 1, shrinks: true }) {
        return LINEAR;
    }
    Size { depth, width: (width(ledger, exit, to_spend, depth).round() as usize).max(1), shrinks: true }
}

/// The width, as a real number, at which a branch of `depth` convolutions costs exactly what is to be spent on it.
pub(super) fn width(ledger: Ledger<'_>, exit: usize, to_spend: f64, depth: usize) -> f64 {
    let [quadratic, linear, rest] = ledger.polynomial(exit, depth);
    let to_spend = (to_spend - rest).max(0.0);
    // The positive root of quadratic w^2 + linear w = to_spend, in the form that also holds where `quadratic` is 0.
    2.0 * to_spend / (linear + (linear * linear + 4.0 * quadratic * to_spend).sqrt())
}

/// One branch made wider or narrower.
#[derive(Debug, Clone, Copy)]
struct Step {
    exit: usize,
    size: Size,
    charge: f64,
}

/// One or two steps at different exits, and what they add to the total.
#[derive(Debug, Clone, Copy)]
struct Change {
    steps: [Option<Step>; 2],
    charge: f64,
}

/// Every step of at most `reach` channels. Linear classifiers stay what they are, and no branch becomes one.
fn steps<'a>(ledger: Ledger<'a>, sizes: &'a [Size], reach: usize) -> impl Iterator<Item = Step> + 'a {
    let of_exit = move |(exit, size): (usize, &Size)| {
        let size = *size;
        let before = ledger.charge(exit, size);
        let widths = (1..=reach).flat_map(move |channels| [size.width + channels, size.width.saturating_sub(channels)]);
        widths.filter(move |width| size != LINEAR && *width > 0).map(move |width| {
            let size = Size { width, ..size };
            Step { exit, size, charge: ledger.charge(exit, size) - before }
        })
    };
    sizes.iter().enumerate().flat_map(of_exit)
}

fn singles<'a>(ledger: Ledger<'a>, sizes: &'a [Size]) -> impl Iterator<Item = Change> + 'a {
    steps(ledger, sizes, 1).map(|step| Change { steps: [Some(step), None], charge: step.charge })
}

fn pairs<'a>(ledger: Ledger<'a>, sizes: &'a [Size], reach: usize) -> impl Iterator<Item = Change> + 'a {
    let pair = |first: Step, second: Step| Change { steps: [Some(first), Some(second)], charge: first.charge + second.charge };
    let with_later = move |first: Step| {
        let later = steps(ledger, sizes, reach).filter(move |second| second.exit > first.exit);
        later.map(move |second| pair(first, second))
    };
    steps(ledger, sizes, reach).flat_map(with_later)
}

/// The change that brings the total nearest to the budget, the first of several; `None` where none brings it nearer.
fn best_of(changes: impl Iterator<Item = Change>, goal: &Goal, spent: f64) -> Option<Change> {
    let miss = |change: &Change| goal.miss(spent + change.charge);
    // Nearer by more than a rounding, or repairs could go round in circles; what is counted in full differs by whole numbers.
    changes.min_by(|a, b| miss(a).total_cmp(&miss(b))).filter(|change| miss(change) < goal.miss(spent) - 0.25)
}
