//! Why no branches meet a budget, in words.

use super::budget::counted;
use super::{AUTO_DEPTH, Counted, Feasible, MAX_DEPTH, MAX_SHARE, Nearest};
use crate::job::Budget;
use crate::pattern::PatternError;

/// That a level does not cost the same at every exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a convolution level costs from {least} to {most} MACs, depending on the exit")]
pub struct LevelsDiffer {
    /// MACs of the cheapest level.
    pub least: u64,
    /// MACs of the dearest level.
    pub most: u64,
}

/// Why no branches meet a budget.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BranchError {
    /// Nothing, too much, or not a number.
    #[error("a budget of {} is not above 0 and at most {MAX_SHARE} times the backbone's {}", describe(.0), unit(.0))]
    BudgetOutOfRange(Budget),
    /// A budget in levels where there are none.
    #[error("a budget of {n_levels} levels means nothing at these exits")]
    LevelBudget {
        /// The budget.
        n_levels: u32,
        /// What levels would cost.
        source: LevelsDiffer,
    },
    /// A rule that needs levels where there are none.
    #[error("branches at these exits cannot be built of levels")]
    LevelRule {
        /// What levels would cost.
        source: LevelsDiffer,
    },
    /// A depth that makes no branch.
    #[error("a branch depth of {0} is not between 1 and {MAX_DEPTH}")]
    Depth(u32),
    /// The parts that leave at each exit are no parts of a whole.
    #[error("the parts of the inputs that leave at each exit are wrong: {0}")]
    Leaving(PatternError),
    /// Not one part per exit.
    #[error("{n_given} parts of the inputs do not fit {n_exits} exits")]
    LeavingLength {
        /// Parts given.
        n_given: usize,
        /// Exits there are, the final one included.
        n_exits: usize,
    },
    /// A budget that is what published branches cost, for others.
    #[error("the budget `own` is the pattern `own`'s alone")]
    OwnBudget,
    /// Hardly an input comes by the branches that the pattern spends on.
    #[error("too few inputs come by the branches that get something to spend {} on them", describe(budget))]
    Unreached {
        /// The budget.
        budget: Budget,
    },
    /// Even linear classifiers cost more.
    #[error("a budget of {} does not pay for the branches' classifiers, which take {least} {}", describe_with_amount(budget, *asked), unit(budget))]
    ClassifiersAlone {
        /// The budget.
        budget: Budget,
        /// The same as a number of what it counts.
        asked: u64,
        /// The least that branches can cost.
        least: u64,
        /// The nearest larger budget that can be met.
        above: Option<Feasible>,
    },
    /// The branches solved for it miss it by more than [`super::TOLERANCE`].
    #[error("a budget of {} is missed by more than 0.5 %: the branches solved for it take {spent} {}", describe_with_amount(budget, *asked), unit(budget))]
    Infeasible {
        /// The budget.
        budget: Budget,
        /// The same as a number of what it counts.
        asked: u64,
        /// What they cost.
        spent: u64,
        /// The nearest smaller budget that can be met.
        below: Option<Feasible>,
        /// The nearest larger budget that can be met.
        above: Option<Feasible>,
    },
}

impl BranchError {
    /// What to try instead.
    pub fn hint(&self) -> String {
        match self {
            Self::BudgetOutOfRange(_) => "a quarter of the backbone's MACs is `0.25`".to_owned(),
            Self::LevelBudget { source, .. } => format!("{source}: give the budget as a share of the backbone's MACs"),
            Self::LevelRule { source } => format!("{source}: let the rule be `auto` or `width`"),
            Self::Depth(_) => format!("`auto` solves for width at depth {AUTO_DEPTH}"),
            Self::Leaving(error) => error.hint(),
            Self::LeavingLength { n_exits, .. } => {
                format!("give {n_exits}: one for each side exit, first to last, and one for the final exit")
            }
            Self::OwnBudget => "give the budget as a share of the backbone's MACs".to_owned(),
            Self::Unreached { .. } => "let more inputs stay in `exits`, or spend more on the early exits".to_owned(),
            Self::ClassifiersAlone { above, .. } => Nearest { below: None, above: *above }.hint(1),
            Self::Infeasible { below, above, .. } => Nearest { below: *below, above: *above }.hint(1),
        }
    }
}

/// What a budget counts, in words.
fn unit(budget: &Budget) -> &'static str {
    match counted(budget) {
        Counted::Macs => "MACs",
        Counted::Expected => "expected MACs",
        Counted::Params => "parameters",
    }
}

/// A budget in words.
fn describe(budget: &Budget) -> String {
    match budget {
        Budget::Share(share) => format!("{share} of the backbone's MACs"),
        Budget::Levels(n_levels) => format!("{n_levels} levels"),
        Budget::Macs(macs) => format!("{macs} MACs"),
        Budget::Expected { share, .. } => format!("an expected {share} of the backbone's MACs"),
        Budget::Own => "`own`".to_owned(),
        Budget::ParamShare(share) => format!("{share} of the backbone's parameters"),
    }
}

/// A budget in words, and as a number where it was given otherwise.
fn describe_with_amount(budget: &Budget, amount: u64) -> String {
    match budget {
        Budget::Macs(_) => describe(budget),
        _ => format!("{} ({amount} {})", describe(budget), unit(budget)),
    }
}
