//! Budgets that can be met, near one that cannot.

use std::cell::Cell;
use std::collections::HashSet;

use super::budget::{Counted, Goal, counted, whole};
use super::{MAX_SHARE, Site, TOLERANCE, sizes};
use crate::job::{BranchRule, Budget};
use crate::network::SolvedRule;

/// Branches solved in one direction before a search gives up: enough to walk the whole range for a few patterns, a fraction of a second.
const MAX_SOLVED: usize = 20_000;

/// Solving for depth and width together takes about so many times as long as for width.
const JOINT_COUNTS: usize = 50;

/// A pattern at its exits.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// Where its branches hang.
    pub site: Site<'a>,
    /// Their shares.
    pub shares: &'a [f64],
}

/// A budget that can be met.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Feasible {
    /// As a share of what the backbone counts, of four significant digits; met as written.
    pub share: f64,
    /// What that is.
    pub counted: Counted,
    /// As a number of levels, where branches would be built of them.
    pub levels: Option<u32>,
}

impl std::fmt::Display for Feasible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.counted {
            Counted::Macs => write!(f, "{} of the backbone's MACs", self.share)?,
            Counted::Expected => write!(f, "an expected {} of the backbone's MACs", self.share)?,
            Counted::Params => write!(f, "{} of the backbone's parameters", self.share)?,
        }
        match self.levels {
            Some(levels) => write!(f, " ({levels} levels)"),
            None => Ok(()),
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

/// Looks for the nearest budgets of the same kind that every pattern can meet, no two of them with the same branches.
///
/// With several patterns a budget that only just serves all may be passed over, and a search of many patterns ends early: what is found
/// serves, but what is not found may exist.
pub fn nearest(cases: &[Case<'_>], budget: &Budget, rule: BranchRule) -> Nearest {
    let search = |direction| nearest_feasible(cases, budget, rule, direction);
    Nearest { below: search(Direction::Down), above: search(Direction::Up) }
}

/// Walks away from a budget to the first that can be met.
pub(super) fn nearest_feasible(cases: &[Case<'_>], budget: &Budget, rule: BranchRule, direction: Direction) -> Option<Feasible> {
    // Budgets that a pattern can meet are a window of twice the tolerance wide around each total; steps of half of it miss none. Where the
    // windows of several patterns overlap is narrower; steps as fine as four digits are rarely too wide for it.
    let step = 1.0 + TOLERANCE / if cases.len() == 1 { 2.0 } else { 10.0 };
    let site = cases.first()?.site;
    let goal = Goal::new(site, budget).ok()?;
    let whole = whole(site, goal.counted);
    let asked = goal.amount / whole;
    // A final classifier that takes the place of a larger one costs less than nothing.
    let least = ((1.0 - TOLERANCE) * goal.ledger(site).classifiers()).max(1.0) / whole;
    let is_beyond = |share: f64| if direction == Direction::Up { share > asked } else { share < asked };
    let n_solved = Cell::new(0);
    let met = |share: f64| {
        Some(four_digits(share)).filter(|&share| is_beyond(share)).and_then(|share| meet(cases, budget, share, rule, &n_solved))
    };
    let mut candidate = if direction == Direction::Up { asked.max(least) * step } else { asked / step };
    while candidate >= least && candidate <= MAX_SHARE {
        if let Some(found) = met(candidate) {
            // A total that was reached is a rounder answer than the edge of the window around it.
            let exact = found.spent.iter().find_map(|&spent| met(spent / whole));
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
    spent: Vec<f64>,
}

/// Whether all patterns meet a budget with branches that differ.
fn meet(cases: &[Case<'_>], budget: &Budget, share: f64, rule: BranchRule, n_solved: &Cell<usize>) -> Option<Met> {
    let budget = of_share(budget, share);
    let mut feasible = Feasible { share, counted: counted(&budget), levels: None };
    let mut all_spent = Vec::with_capacity(cases.len());
    let mut different = HashSet::new();
    for Case { site, shares } in cases {
        n_solved.set(n_solved.get() + if rule == BranchRule::Joint { JOINT_COUNTS } else { 1 });
        let goal = Goal::new(*site, &budget).ok()?;
        let ledger = goal.ledger(*site);
        let (solved_rule, sizes) = sizes(&goal, ledger, shares, &budget, rule).ok()?;
        let spent = ledger.total(&sizes);
        if !goal.is_met(spent) {
            return None;
        }
        feasible.levels = (solved_rule == SolvedRule::Levels).then(|| sizes.iter().map(|size| size.depth as u32).sum());
        all_spent.push(spent);
        if !different.insert((site.replaced, sizes)) {
            return None;
        }
    }
    Some(Met { feasible, spent: all_spent })
}

/// A budget of the same kind.
fn of_share(budget: &Budget, share: f64) -> Budget {
    match budget {
        Budget::Share(_) | Budget::Macs(_) | Budget::Levels(_) | Budget::Own => Budget::Share(share),
        Budget::Expected { exits, .. } => Budget::Expected { share, exits: exits.clone() },
        Budget::ParamShare(_) => Budget::ParamShare(share),
    }
}

/// Rounds to four significant digits, a tenth of the tolerance.
pub(super) fn four_digits(value: f64) -> f64 {
    format!("{value:.3e}").parse().expect("a formatted number is a number")
}
