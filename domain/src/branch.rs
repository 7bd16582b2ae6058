//! Branches: the layers that realise a pattern's shares at one total cost.
//!
//! A branch of depth `d` and width `w` is `d` times 3x3 convolution to `w` channels, batch norm, rectifier; then global average pooling and a linear
//! classifier. Depth 0 is the linear classifier alone, on the pooled features. Three rules turn shares into depths and widths:
//!
//! - **Levels**: a level is one convolution as wide as the trunk at that exit. Where it costs the same at every exit, whole levels can be dealt
//!   out in any way at exactly the same total. This is the closest to the branch levels of Lin et al. (arXiv 2204.13347).
//! - **Width**: every branch has the same depth, and its width is solved for. The total is then repaired to within [`TOLERANCE`].
//! - **Joint**: every branch has the depth, of a few, and the width that together come nearest to the budget.
//!
//! On a map with a side above [`LARGE_SIDE`] the convolutions of the last two rules have stride 2 until it is no larger; levels never have one.
//!
//! [`BranchRule::Auto`] takes levels where they cost the same at every exit and a whole number of them meets the budget, and width at depth
//! [`AUTO_DEPTH`] otherwise. The choice depends on the backbone, the exits and the budget, never on the pattern, so patterns that are
//! compared with each other are built by the same rule. A budget of expected cost or of parameters is never a number of levels whatever the
//! pattern, so there it takes width. The final
//! classifier of the pattern `final-only` is not compared branch by branch, and has depth and width solved for instead of width.

mod budget;
mod error;
mod joint;
mod levels;
mod nearest;
mod width;

pub use self::budget::Counted;
use self::budget::{Goal, Ledger};
pub use self::error::{BranchError, LevelsDiffer};
pub use self::nearest::{Case, Feasible, Nearest, nearest};
use self::nearest::{Direction, nearest_feasible};
use crate::exits::AttachPoint;
use crate::job::{BranchRule, Budget};
use crate::layer::{Layer, summarise};
use crate::network::{Branch, Plan, SolvedRule};
use crate::shape::Shape;

/// How far the total cost of the branches may be from the budget, as a share of the budget. Effects of a pattern are a few tenths of a percent of
/// accuracy, and those of so small a difference in cost are far below that.
pub const TOLERANCE: f64 = 0.005;

/// Convolutions of a branch where [`BranchRule::Auto`] solves for width: the fewest that mix channels once more after changing their number.
pub const AUTO_DEPTH: u32 = 2;

/// Most convolutions that [`BranchRule::Width`] may ask for in a branch; deeper than the stages they hang on is no branch any more.
pub const MAX_DEPTH: u32 = 16;

/// Largest budget, as a share of the backbone's MACs: bounds what a mistyped sweep file can ask for.
pub const MAX_SHARE: f64 = 10.0;

/// Largest side of a map that branches keep whole: that of the networks for images of 32 pixels. On the maps of 56 and 112 pixels at the
/// beginning of networks for large images, a quarter of the backbone's MACs would pay for a handful of channels.
pub const LARGE_SIDE: usize = 32;

/// What branches are solved for, pattern and budget aside.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// Where the branches hang, first to last; not empty.
    pub points: &'a [AttachPoint],
    /// Classes that each branch tells apart.
    pub n_classes: usize,
    /// Of the backbone, head included.
    pub backbone: Cost,
    /// Of the classifier whose place the one branch takes, where it is the final one; nothing otherwise. The budget pays for what is above it.
    pub replaced: Cost,
}

/// What layers cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Cost {
    /// Strict MACs per sample.
    pub macs: u64,
    /// Trainable parameters.
    pub params: u64,
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
    /// Whether convolutions shrink a large map.
    shrinks: bool,
}

const LINEAR: Size = Size { depth: 0, width: 0, shrinks: false };

/// Solves for branches whose total cost meets `budget`, shared out by `shares` (one per attach point, as [`crate::pattern::allot`] gives them).
///
/// A branch whose share does not pay for the narrowest convolutions becomes a linear classifier: its `depth` is 0.
///
/// # Errors
/// When the budget or the depth is out of range, levels are asked for where they cost different amounts, inputs are said to leave at exits that
/// are not there or to come by none that gets anything, or no branches come within [`TOLERANCE`] of the budget. The last says which budgets
/// nearby can be met.
pub fn solve(site: Site<'_>, shares: &[f64], budget: &Budget, rule: BranchRule) -> Result<Solution, BranchError> {
    let goal = Goal::new(site, budget)?;
    let ledger = goal.ledger(site);
    let (solved_rule, sizes) = sizes(&goal, ledger, shares, budget, rule)?;
    let spent = ledger.total(&sizes);
    if goal.is_met(spent) {
        let branch_macs = total_macs(site, &sizes).saturating_sub(site.replaced.macs);
        let budget_macs = match goal.counted {
            Counted::Macs => goal.amount as u64,
            Counted::Expected => goal.total(ledger, shares).round() as u64,
            Counted::Params => 0,
        };
        let plan = Plan { rule: solved_rule, budget_macs, branch_macs, counted: goal.counted, asked: goal.amount as u64, spent };
        return Ok(Solution { branches: branches(site, &sizes), plan });
    }
    let feasible = |direction| nearest_feasible(&[Case { site, shares }], budget, rule, direction);
    let (asked, least) = (goal.amount as u64, ledger.classifiers());
    if goal.amount < least {
        return Err(BranchError::ClassifiersAlone {
            budget: budget.clone(),
            asked,
            least: least.round() as u64,
            above: feasible(Direction::Up),
        });
    }
    let (below, above) = (feasible(Direction::Down), feasible(Direction::Up));
    Err(BranchError::Infeasible { budget: budget.clone(), asked, spent: spent.round() as u64, below, above })
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

/// Applies the rule.
fn sizes(
    goal: &Goal,
    ledger: Ledger<'_>,
    shares: &[f64],
    budget: &Budget,
    rule: BranchRule,
) -> Result<(SolvedRule, Vec<Size>), BranchError> {
    let total = goal.total(ledger, shares);
    if total > goal.most || total.is_nan() {
        return Err(BranchError::Unreached { budget: budget.clone() });
    }
    let by_width = |depth: u32| (SolvedRule::Width, width::sizes(goal, ledger, shares, total, depth as usize));
    let by_levels = |n_levels| (SolvedRule::Levels, levels::sizes(ledger.site, shares, n_levels));
    match rule {
        BranchRule::Width { depth } if (1..=MAX_DEPTH).contains(&depth) => Ok(by_width(depth)),
        BranchRule::Width { depth } => Err(BranchError::Depth(depth)),
        BranchRule::Joint => Ok((SolvedRule::Joint, joint::sizes(goal, ledger, shares, total))),
        BranchRule::Levels => match level_macs(ledger.site.points) {
            Ok(level_macs) => Ok(by_levels(levels::nearest(goal, ledger, shares, level_macs))),
            Err(source) => Err(BranchError::LevelRule { source }),
        },
        BranchRule::Auto => Ok(match levels::meeting(goal, ledger) {
            Some(n_levels) => by_levels(n_levels),
            // One branch has one width, whose steps miss most budgets at one depth; there is no other branch to be alike to.
            None if ledger.site.replaced != Cost::default() => (SolvedRule::Joint, joint::sizes(goal, ledger, shares, total)),
            None => by_width(AUTO_DEPTH),
        }),
    }
}

/// MACs and parameters of a branch, in closed form: solving tries many.
fn cost(point: AttachPoint, size: Size, n_classes: usize) -> Cost {
    let channels = point.shape.channels;
    if size == LINEAR {
        return Cost { macs: (channels * n_classes) as u64, params: ((channels + 1) * n_classes) as u64 };
    }
    let Size { depth, width, shrinks } = size;
    let (first, others) = positions(point.shape, depth, shrinks);
    let weights = 9 * width * (channels + (depth - 1) * width) + width * n_classes;
    Cost {
        macs: (9 * width * (channels * first + width * others) + width * n_classes) as u64,
        params: (weights + 2 * width * depth + n_classes) as u64,
    }
}

/// Positions that the first convolution of a branch is worked out at, and the sum of those of all others.
fn positions(shape: Shape, depth: usize, shrinks: bool) -> (usize, usize) {
    let mut shape = shape;
    let (mut first, mut others) = (0, 0);
    for index in 0..depth {
        let stride = stride(shape, shrinks);
        shape = Layer::conv3x3(1, 1, stride).output(Shape { channels: 1, ..shape });
        if index == 0 {
            first = shape.positions();
        } else if stride == 1 {
            // All that follow are like this one.
            return (first, others + (depth - index) * shape.positions());
        } else {
            others += shape.positions();
        }
    }
    (first, others)
}

/// Stride of a branch's convolution on a map.
const fn stride(shape: Shape, shrinks: bool) -> usize {
    if shrinks && (shape.height > LARGE_SIDE || shape.width > LARGE_SIDE) { 2 } else { 1 }
}

fn total_macs(site: Site<'_>, sizes: &[Size]) -> u64 {
    site.points.iter().zip(sizes).map(|(point, size)| cost(*point, *size, site.n_classes).macs).sum()
}

fn branches(site: Site<'_>, sizes: &[Size]) -> Vec<Branch> {
    let branch = |(point, size): (&AttachPoint, &Size)| Branch {
        unit: point.unit,
        input: point.shape,
        depth: size.depth,
        width: size.width,
        layers: layers(point.shape, *size, site.n_classes),
    };
    site.points.iter().zip(sizes).map(branch).collect()
}

fn layers(input: Shape, size: Size, n_classes: usize) -> Vec<Layer> {
    let mut layers = Vec::with_capacity(3 * size.depth + 2);
    let mut shape = input;
    for _ in 0..size.depth {
        let conv = Layer::conv3x3(shape.channels, size.width, stride(shape, size.shrinks));
        layers.extend([conv, Layer::BatchNorm { channels: size.width }, Layer::Relu]);
        shape = conv.output(shape);
    }
    layers.extend([Layer::GlobalAveragePool, Layer::Linear { inputs: shape.channels, outputs: n_classes }]);
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

#[cfg(test)]
mod tests;
