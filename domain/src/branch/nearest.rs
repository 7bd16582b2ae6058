//! Budgets that can be met, near one that cannot.

use std::cell::Cell;
use std::collections::HashSet;

use super::{MAX_SHARE, Site, TOLERANCE, budget_macs, classifiers_macs, sizes, total_macs, within_tolerance};
use crate::job::{BranchRule, Budget};
use crate::network::SolvedRule;

/// Branches solved in one direction before a search gives up: enough to walk the whole range for a few patterns, a fraction of a second.
const MAX_SOLVED: usize = 20_000;

/// A budget that can be met.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Feasible {
    /// As a share of the backbone's MACs, of four significant digits; met as written.
    pub share: f64,
    /// As a number of levels, where branches would be built of them.
    pub levels: Option<u32>,
}

impl std::fmt::Display for Feasible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.levels {
            Some(levels) => write!(f, "{} of the backbone's MACs ({levels} levels)", self.share),
            None => write!(f, "{} of the backbone's MACs", self.share),
        }
    }
}

/// Budgets that can be met on either side of one that cannot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    /// A smaller one.
    pub below: Option<Feasible>,
    /// A larger one.
    pub above: Option<Feasible>,
}

impl Nearest {
    /// What to try instead of a budget that not all of `n_patterns` patterns can meet.
    pub fn hint(&self, n_patterns: usize) -> String {
        let meeting = match n_patterns {
            1 => "that can be met".to_owned(),
            2 => "that both patterns meet, each with branches of its own,".to_owned(),
            _ => format!("that all {n_patterns} patterns meet, each with branches of its own,"),
        };
        match (self.below, self.above) {
            (Some(below), Some(above)) => format!("the nearest budgets {meeting} are {below} and {above}"),
            (Some(only), None) | (None, Some(only)) => format!("the nearest budget {meeting} is {only}"),
            (None, None) if n_patterns == 1 => "no budget was found that these exits can meet: choose others".to_owned(),
            (None, None) => {
                format!("no budget was found {}: leave a pattern out, or exclude it at this budget", meeting.trim_end_matches(','))
            }
        }
    }
}

/// Where to look for another budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Down,
    Up,
}

/// Looks for the nearest budgets that every pattern can meet, no two of them with the same branches; `patterns` holds the shares of each.
///
/// With several patterns a budget that only just serves all may be passed over, and a search of many patterns ends early: what is found
/// serves, but what is not found may exist.
pub fn nearest(site: Site<'_>, patterns: &[Vec<f64>], budget_macs: u64, rule: BranchRule) -> Nearest {
    let patterns: Vec<&[f64]> = patterns.iter().map(Vec::as_slice).collect();
    let search = |direction| nearest_feasible(site, &patterns, budget_macs, rule, direction);
    Nearest { below: search(Direction::Down), above: search(Direction::Up) }
}

/// Walks away from a budget to the first that can be met.
pub(super) fn nearest_feasible(
    site: Site<'_>,
    patterns: &[&[f64]],
    budget_macs: u64,
    rule: BranchRule,
    direction: Direction,
) -> Option<Feasible> {
    // Budgets that a pattern can meet are a window of twice the tolerance wide around each total; steps of half of it miss none. Where the
    // windows of several patterns overlap is narrower; steps as fine as four digits are rarely too wide for it.
    let step = 1.0 + TOLERANCE / if patterns.len() == 1 { 2.0 } else { 10.0 };
    let whole = site.backbone_macs as f64;
    let asked = budget_macs as f64 / whole;
    let least = (1.0 - TOLERANCE) * classifiers_macs(site) as f64 / whole;
    let is_beyond = |share: f64| if direction == Direction::Up { share > asked } else { share < asked };
    let n_solved = Cell::new(0);
    let met = |share: f64| {
        Some(four_digits(share)).filter(|&share| is_beyond(share)).and_then(|share| meet(site, patterns, share, rule, &n_solved))
    };
    let mut candidate = if direction == Direction::Up { asked.max(least) * step } else { asked / step };
    while candidate >= least && candidate <= MAX_SHARE {
        if let Some(found) = met(candidate) {
            // A total that was reached is a rounder answer than the edge of the window around it.
            let exact = found.totals.iter().find_map(|&total| met(total as f64 / whole));
            return Some(exact.unwrap_or(found).feasible);
        }
        if n_solved.get() >= MAX_SOLVED {
            return None;
        }
        candidate = if direction == Direction::Up { candidate * step } else { candidate / step };
    }
    None
}

/// A budget that all patterns meet, and what their branches cost.
struct Met {
    feasible: Feasible,
    totals: Vec<u64>,
}

/// Whether all patterns meet a budget with branches that differ.
fn meet(site: Site<'_>, patterns: &[&[f64]], share: f64, rule: BranchRule, n_solved: &Cell<usize>) -> Option<Met> {
    let macs = budget_macs(site, Budget::Share(share)).ok()?;
    let mut feasible = Feasible { share, levels: None };
    let mut totals = Vec::with_capacity(patterns.len());
    let mut different = HashSet::new();
    for shares in patterns {
        n_solved.set(n_solved.get() + 1);
        let (solved_rule, sizes) = sizes(site, shares, macs, rule).ok()?;
        let total = total_macs(site, &sizes);
        if !within_tolerance(total, macs) {
            return None;
        }
        feasible.levels = (solved_rule == SolvedRule::Levels).then(|| sizes.iter().map(|size| size.depth as u32).sum());
        totals.push(total);
        if !different.insert(sizes) {
            return None;
        }
    }
    Some(Met { feasible, totals })
}

/// Rounds to four significant digits, a tenth of the tolerance.
pub(super) fn four_digits(value: f64) -> f64 {
    format!("{value:.3e}").parse().expect("a formatted number is a number")
}
