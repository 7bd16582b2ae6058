//! Branches: the layers that realise a pattern's shares at one total cost.
//!
//! A branch of depth `d` and width `w` is `d` times 3x3 convolution to `w` channels, batch norm, rectifier; then global average pooling and a linear
//! classifier. Depth 0 is the linear classifier alone, on the pooled features. Two rules turn shares into depths and widths:
//!
//! - **Levels**: a level is one convolution as wide as the trunk at that exit. Where it costs the same at every exit, whole levels can be dealt
//!   out in any way at exactly the same total. This is the closest to the branch levels of Lin et al. (arXiv 2204.13347).
//! - **Width**: every branch has the same depth, and its width is solved for. The total is then repaired to within [`TOLERANCE`].
//!
//! [`BranchRule::Auto`] takes levels where they cost the same at every exit and a whole number of them meets the budget, and width at depth
//! [`AUTO_DEPTH`] otherwise. The choice depends on the backbone, the exits and the budget, never on the pattern, so patterns that are
//! compared with each other are built by the same rule.

mod levels;
mod nearest;
mod width;

use self::nearest::{Direction, nearest_feasible};
pub use self::nearest::{Feasible, Nearest, nearest};
use crate::exits::AttachPoint;
use crate::job::{BranchRule, Budget};
use crate::layer::{Layer, summarise};
use crate::network::{Branch, Plan, SolvedRule};

/// How far the total cost of the branches may be from the budget, as a share of the budget. Effects of a pattern are a few tenths of a percent of
/// accuracy, and those of so small a difference in cost are far below that.
pub const TOLERANCE: f64 = 0.005;

/// Convolutions of a branch where [`BranchRule::Auto`] solves for width: the fewest that mix channels once more after changing their number.
pub const AUTO_DEPTH: u32 = 2;

/// Most convolutions that [`BranchRule::Width`] may ask for in a branch; deeper than the stages they hang on is no branch any more.
pub const MAX_DEPTH: u32 = 16;

/// Largest budget, as a share of the backbone's MACs: bounds what a mistyped sweep file can ask for.
pub const MAX_SHARE: f64 = 10.0;

/// What branches are solved for, pattern and budget aside.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// Where the branches hang, first to last; not empty.
    pub points: &'a [AttachPoint],
    /// Classes that each branch tells apart.
    pub n_classes: usize,
    /// Strict MACs of the backbone, head included.
    pub backbone_macs: u64,
}

/// Branches with what they were solved to.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// One for each attach point, in their order.
    pub branches: Vec<Branch>,
    /// Rule, budget and realised total.
    pub plan: Plan,
}

/// Depth and width of a branch; both 0 for a linear classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Size {
    depth: usize,
    width: usize,
}

const LINEAR: Size = Size { depth: 0, width: 0 };

/// Solves for branches whose total cost meets `budget`, shared out by `shares` (one per attach point, as [`crate::pattern::shares`] gives them).
///
/// A branch whose share does not pay for the narrowest convolutions becomes a linear classifier: its `depth` is 0.
///
/// # Errors
/// When the budget or the depth is out of range, levels are asked for where they cost different amounts, or no branches come within
/// [`TOLERANCE`] of the budget. The last says which budgets nearby can be met.
pub fn solve(site: Site<'_>, shares: &[f64], budget: Budget, rule: BranchRule) -> Result<Solution, BranchError> {
    let budget_macs = budget_macs(site, budget)?;
    let (solved_rule, sizes) = sizes(site, shares, budget_macs, rule)?;
    let branch_macs = total_macs(site, &sizes);
    if within_tolerance(branch_macs, budget_macs) {
        let plan = Plan { rule: solved_rule, budget_macs, branch_macs };
        return Ok(Solution { branches: branches(site, &sizes), plan });
    }
    let feasible = |direction| nearest_feasible(site, &[shares], budget_macs, rule, direction);
    let classifiers_macs = classifiers_macs(site);
    if budget_macs < classifiers_macs {
        return Err(BranchError::ClassifiersAlone { budget, budget_macs, classifiers_macs, above: feasible(Direction::Up) });
    }
    Err(BranchError::Infeasible { budget, budget_macs, branch_macs, below: feasible(Direction::Down), above: feasible(Direction::Up) })
}

/// MACs of one convolution level.
///
/// # Errors
/// When it does not cost the same at every attach point.
pub fn level_macs(points: &[AttachPoint]) -> Result<u64, LevelsDiffer> {
    let costs = points.iter().map(|point| Layer::conv3x3(point.shape.channels, point.shape.channels, 1).macs(point.shape));
    let (least, most) = costs.fold((u64::MAX, 0), |(least, most), cost| (least.min(cost), most.max(cost)));
    if least == most { Ok(least) } else { Err(LevelsDiffer { least, most }) }
}

/// The budget in MACs.
fn budget_macs(site: Site<'_>, budget: Budget) -> Result<u64, BranchError> {
    let most = MAX_SHARE * site.backbone_macs as f64;
    let macs = match budget {
        Budget::Share(share) => share * site.backbone_macs as f64,
        Budget::Macs(macs) => macs as f64,
        Budget::Levels(n_levels) => {
            let level = level_macs(site.points).map_err(|source| BranchError::LevelBudget { n_levels, source })?;
            f64::from(n_levels) * level as f64 + classifiers_macs(site) as f64
        }
    };
    // Whole MACs below 2^53 are exact in a double, and the bound keeps far below that.
    if macs.round() >= 1.0 && macs <= most { Ok(macs.round() as u64) } else { Err(BranchError::BudgetOutOfRange(budget)) }
}

/// Applies the rule.
fn sizes(site: Site<'_>, shares: &[f64], budget_macs: u64, rule: BranchRule) -> Result<(SolvedRule, Vec<Size>), BranchError> {
    let by_width = |depth| (SolvedRule::Width, width::sizes(site, shares, budget_macs, depth));
    let by_levels = |n_levels| (SolvedRule::Levels, levels::sizes(site, shares, n_levels));
    match rule {
        BranchRule::Width { depth } if (1..=MAX_DEPTH).contains(&depth) => Ok(by_width(depth)),
        BranchRule::Width { depth } => Err(BranchError::Depth(depth)),
        BranchRule::Levels => match level_macs(site.points) {
            Ok(level_macs) => Ok(by_levels(levels::nearest(site, level_macs, budget_macs))),
            Err(source) => Err(BranchError::LevelRule { source }),
        },
        BranchRule::Auto => Ok(match levels::meeting(site, budget_macs) {
            Some(n_levels) => by_levels(n_levels),
            None => by_width(AUTO_DEPTH),
        }),
    }
}

/// MACs of a branch, in closed form: solving tries many.
fn macs(point: AttachPoint, size: Size, n_classes: usize) -> u64 {
    let (channels, positions) = (point.shape.channels, point.shape.positions());
    match size {
        LINEAR => (channels * n_classes) as u64,
        Size { depth, width } => (9 * positions * width * (channels + (depth - 1) * width) + width * n_classes) as u64,
    }
}

fn total_macs(site: Site<'_>, sizes: &[Size]) -> u64 {
    site.points.iter().zip(sizes).map(|(point, size)| macs(*point, *size, site.n_classes)).sum()
}

/// MACs of a linear classifier on the pooled features of every attach point: the least that branches can cost.
fn classifiers_macs(site: Site<'_>) -> u64 {
    site.points.iter().map(|point| macs(*point, LINEAR, site.n_classes)).sum()
}

fn within_tolerance(branch_macs: u64, budget_macs: u64) -> bool {
    branch_macs.abs_diff(budget_macs) as f64 <= TOLERANCE * budget_macs as f64
}

fn branches(site: Site<'_>, sizes: &[Size]) -> Vec<Branch> {
    let branch = |(point, size): (&AttachPoint, &Size)| Branch {
        unit: point.unit,
        input: point.shape,
        depth: size.depth,
        width: size.width,
        layers: layers(point.shape.channels, *size, site.n_classes),
    };
    site.points.iter().zip(sizes).map(branch).collect()
}

fn layers(channels: usize, size: Size, n_classes: usize) -> Vec<Layer> {
    let mut layers = Vec::with_capacity(3 * size.depth + 2);
    let mut inputs = channels;
    for _ in 0..size.depth {
        layers.extend([Layer::conv3x3(inputs, size.width, 1), Layer::BatchNorm { channels: size.width }, Layer::Relu]);
        inputs = size.width;
    }
    layers.extend([Layer::GlobalAveragePool, Layer::Linear { inputs, outputs: n_classes }]);
    layers
}

impl Branch {
    /// Strict MACs per sample, classifier included.
    pub fn macs(&self) -> u64 {
        summarise(&self.layers, self.input).macs
    }

    /// Trainable parameters.
    pub fn params(&self) -> u64 {
        summarise(&self.layers, self.input).params
    }
}

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
    #[error("a budget of {} is not above 0 and at most {MAX_SHARE} times the backbone's MACs", describe(*.0))]
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
    /// Even linear classifiers cost more.
    #[error("a budget of {} does not pay for the branches' classifiers, which take {classifiers_macs} MACs", describe_with_macs(*budget, *budget_macs))]
    ClassifiersAlone {
        /// The budget.
        budget: Budget,
        /// The same in MACs.
        budget_macs: u64,
        /// The least that branches can cost, MACs.
        classifiers_macs: u64,
        /// The nearest larger budget that can be met.
        above: Option<Feasible>,
    },
    /// The branches solved for it miss it by more than [`TOLERANCE`].
    #[error("a budget of {} is missed by more than 0.5 %: the branches solved for it take {branch_macs} MACs", describe_with_macs(*budget, *budget_macs))]
    Infeasible {
        /// The budget.
        budget: Budget,
        /// The same in MACs.
        budget_macs: u64,
        /// What they cost, MACs.
        branch_macs: u64,
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
            Self::ClassifiersAlone { above, .. } => Nearest { below: None, above: *above }.hint(1),
            Self::Infeasible { below, above, .. } => Nearest { below: *below, above: *above }.hint(1),
        }
    }
}

/// A budget in words.
fn describe(budget: Budget) -> String {
    match budget {
        Budget::Share(share) => format!("{share} of the backbone's MACs"),
        Budget::Levels(n_levels) => format!("{n_levels} levels"),
        Budget::Macs(macs) => format!("{macs} MACs"),
    }
}

/// A budget in words, and in MACs where it was given otherwise.
fn describe_with_macs(budget: Budget, budget_macs: u64) -> String {
    match budget {
        Budget::Share(_) | Budget::Levels(_) => format!("{} ({budget_macs} MACs)", describe(budget)),
        Budget::Macs(_) => describe(budget),
    }
}

#[cfg(test)]
mod tests;
