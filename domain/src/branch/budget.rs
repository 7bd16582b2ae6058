//! What a budget comes to at a site, and what branches are charged against it.

use super::{BranchError, Cost, LINEAR, MAX_SHARE, Site, Size, TOLERANCE, cost, level_macs};
use crate::job::Budget;

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// MACs of all branches.
    Macs,
    /// MACs of the branches that an input is expected to come by.
    Expected,
    /// Parameters of all branches.
    Params,
}

/// A budget at a site.
#[derive(Debug, Clone)]
pub(super) struct Goal {
    pub(super) counted: Counted,
    /// A whole number, of what is counted.
    pub(super) amount: f64,
    /// The most that it may come to for all branches together.
    pub(super) most: f64,
    /// Part of the inputs that come by each branch; empty where every branch counts in full.
    reach: Vec<f64>,
}

/// Charges branches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ledger<'a> {
    pub(super) site: Site<'a>,
    counts_params: bool,
    reach: &'a [f64],
}

impl Goal {
    /// Works out what a budget comes to.
    pub(super) fn new(site: Site<'_>, budget: &Budget) -> Result<Self, BranchError> {
        let counted = counted(budget);
        let whole = whole(site, counted);
        let mut reach = Vec::new();
        let amount = match budget {
            Budget::Share(share) | Budget::ParamShare(share) => share * whole,
            Budget::Macs(macs) => *macs as f64,
            Budget::Levels(n_levels) => {
                let level = level_macs(site.points).map_err(|source| BranchError::LevelBudget { n_levels: *n_levels, source })?;
                let classifiers: u64 = site.points.iter().map(|point| cost(*point, LINEAR, site.n_classes).macs).sum();
                f64::from(*n_levels) * level as f64 + classifiers.saturating_sub(site.replaced.macs) as f64
            }
            Budget::Own => return Err(BranchError::OwnBudget),
            Budget::Expected { share, exits } => {
                reach = reaching(site, exits)?;
                share * whole
            }
        };
        let most = MAX_SHARE * whole;
        // Whole numbers below 2^53 are exact in a double, and the bound keeps far below that.
        if amount.round() >= 1.0 && amount <= most {
            Ok(Self { counted, amount: amount.round(), most, reach })
        } else {
            Err(BranchError::BudgetOutOfRange(budget.clone()))
        }
    }

    pub(super) fn ledger<'a>(&'a self, site: Site<'a>) -> Ledger<'a> {
        Ledger { site, counts_params: self.counted == Counted::Params, reach: &self.reach }
    }

    /// What all branches come to, each counted in full, when they are shared out so and meet the budget; infinite where no input comes by a
    /// branch that gets anything.
    pub(super) fn total(&self, ledger: Ledger<'_>, shares: &[f64]) -> f64 {
        if self.counted == Counted::Expected {
            self.amount / shares.iter().enumerate().map(|(exit, share)| ledger.reach(exit) * share).sum::<f64>()
        } else {
            self.amount
        }
    }

    pub(super) fn is_met(&self, spent: f64) -> bool {
        self.miss(spent) <= TOLERANCE * self.amount
    }

    /// How far from the budget.
    pub(super) fn miss(&self, spent: f64) -> f64 {
        (spent - self.amount).abs()
    }
}

impl Ledger<'_> {
    /// Part of the inputs that come by a branch.
    pub(super) fn reach(&self, exit: usize) -> f64 {
        self.reach.get(exit).copied().unwrap_or(1.0)
    }

    /// What a branch counts in full.
    pub(super) fn full(&self, exit: usize, size: Size) -> f64 {
        let Cost { macs, params } = cost(self.site.points[exit], size, self.site.n_classes);
        (if self.counts_params { params } else { macs }) as f64
    }

    /// What a branch is charged.
    pub(super) fn charge(&self, exit: usize, size: Size) -> f64 {
        self.reach(exit) * self.full(exit, size)
    }

    /// What is charged for all branches, above what they take the place of. Exact where every branch counts in full.
    pub(super) fn total(&self, sizes: &[Size]) -> f64 {
        sizes.iter().enumerate().map(|(exit, size)| self.charge(exit, *size)).sum::<f64>() - self.replaced()
    }

    /// What the one branch that takes another classifier's place may cost for nothing.
    pub(super) fn replaced(&self) -> f64 {
        let Cost { macs, params } = self.site.replaced;
        (if self.counts_params { params } else { macs }) as f64
    }

    /// The charge for a linear classifier at every attach point: the least that branches can cost.
    pub(super) fn classifiers(&self) -> f64 {
        self.total(&vec![LINEAR; self.site.points.len()])
    }

    /// The factors of w^2 and w and the rest of what a branch of `depth` convolutions to w channels counts in full.
    pub(super) fn polynomial(&self, exit: usize, depth: usize) -> [f64; 3] {
        let point = self.site.points[exit];
        let (channels, n_classes) = (point.shape.channels, self.site.n_classes);
        let (first, others) = super::positions(point.shape, depth, true);
        let [quadratic, linear, rest] = if self.counts_params {
            [9 * (depth - 1), 9 * channels + 2 * depth + n_classes, n_classes]
        } else {
            [9 * others, 9 * channels * first + n_classes, 0]
        };
        [quadratic as f64, linear as f64, rest as f64]
    }
}

pub(super) const fn counted(budget: &Budget) -> Counted {
    match budget {
        Budget::Share(_) | Budget::Macs(_) | Budget::Levels(_) | Budget::Own => Counted::Macs,
        Budget::Expected { .. } => Counted::Expected,
        Budget::ParamShare(_) => Counted::Params,
    }
}

/// What the backbone counts.
pub(super) fn whole(site: Site<'_>, counted: Counted) -> f64 {
    match counted {
        Counted::Macs | Counted::Expected => site.backbone.macs as f64,
        Counted::Params => site.backbone.params as f64,
    }
}

/// Which part of the inputs comes by each branch, from where they leave: all by the first, and by each further one those that have not left.
fn reaching(site: Site<'_>, exits: &[f64]) -> Result<Vec<f64>, BranchError> {
    crate::pattern::check_shares(exits).map_err(BranchError::Leaving)?;
    // The branch in the place of the final classifier is the only exit, and all inputs leave there.
    if site.replaced != Cost::default() {
        return Ok(Vec::new());
    }
    let n_exits = site.points.len() + 1;
    if exits.len() != n_exits {
        return Err(BranchError::LeavingLength { n_given: exits.len(), n_exits });
    }
    let from = |exit: usize| exits[exit..].iter().sum::<f64>();
    Ok((0..site.points.len()).map(|exit| from(exit) / from(0)).collect())
}
