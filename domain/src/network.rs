//! A backbone with its branches: the one description that costs and modules come from.

use crate::backbone::{self, Backbone};
use crate::branch::{self, BranchError, Site};
use crate::dataset;
use crate::exits::{self, ExitsError};
use crate::job::{BranchConfig, JobConfig, Pattern};
use crate::layer::Layer;
use crate::pattern::{self, PatternError};
use crate::shape::Shape;

/// A multi-exit network, fully determined.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// The trunk with the final classifier.
    pub backbone: Backbone,
    /// The side exits, first to last. The backbone's head is the last exit and not among them.
    pub branches: Vec<Branch>,
    /// Number of classes.
    pub n_classes: usize,
    /// How the branches came about; absent where there are none.
    pub plan: Option<Plan>,
}

/// A classifier hung on a unit's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Index of the unit whose output it reads.
    pub unit: usize,
    /// Shape of that output.
    pub input: Shape,
    /// Convolutions in the branch; 0 is a linear classifier on the pooled features.
    pub depth: usize,
    /// Channels of those convolutions; 0 where there are none.
    pub width: usize,
    /// Its layers, the last of which is the classifier.
    pub layers: Vec<Layer>,
}

/// The cost that branches were solved to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// The rule that shaped them.
    pub rule: SolvedRule,
    /// Total branch MACs asked for.
    pub budget_macs: u64,
    /// Total branch MACs of what was built.
    pub branch_macs: u64,
}

/// How a budget became branches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SolvedRule {
    /// Whole convolution levels as wide as the trunk, dealt out over the exits.
    Levels,
    /// Fixed depth, width solved for.
    Width,
}

/// Costs of one exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCost {
    /// MACs of the backbone up to the exit; for the final exit the whole backbone with its head.
    pub backbone_macs: u64,
    /// MACs of the exit's own branch; 0 for the final exit.
    pub branch_macs: u64,
    /// Parameters of the exit's own branch; 0 for the final exit.
    pub branch_params: u64,
    /// `backbone_macs` and every branch up to and with this one.
    pub macs_cascade: u64,
    /// `backbone_macs` and this branch alone.
    pub macs_selected: u64,
}

/// Determines a job's network: backbone, exits, branches.
///
/// # Errors
/// When a name is unknown, the exits cannot be placed, or the budget cannot be met.
pub fn assemble(config: &JobConfig) -> Result<Network, NetworkError> {
    let dataset = dataset::parse(&config.dataset)?;
    let backbone = backbone::build(&config.backbone, dataset.input, dataset.n_classes)?;
    assemble_parts(backbone, dataset.n_classes, config.branches.as_ref())
}

/// Hangs branches on a backbone whose head tells `n_classes` apart.
///
/// # Errors
/// When the exits cannot be placed, or the budget cannot be met.
pub fn assemble_parts(backbone: Backbone, n_classes: usize, branches: Option<&BranchConfig>) -> Result<Network, NetworkError> {
    let Some(config) = branches else {
        return Ok(Network { backbone, branches: Vec::new(), n_classes, plan: None });
    };
    let points = exits::place(&backbone, &config.exits)?;
    let shares = pattern::shares(&config.pattern, points.len())?;
    let site = Site { points: &points, n_classes, backbone_macs: backbone.total().macs };
    let solution = branch::solve(site, &shares, config.budget, config.rule)?;
    Ok(Network { backbone, branches: solution.branches, n_classes, plan: Some(solution.plan) })
}

impl Network {
    /// Costs of every exit, side exits first to last, then the final exit.
    pub fn exit_costs(&self) -> Vec<ExitCost> {
        let cumulative = self.backbone.cumulative();
        let mut paid = 0;
        let mut costs: Vec<ExitCost> = Vec::with_capacity(self.n_exits());
        for branch in &self.branches {
            let backbone_macs = cumulative[branch.unit].macs;
            let branch_macs = branch.macs();
            paid += branch_macs;
            costs.push(ExitCost {
                backbone_macs,
                branch_macs,
                branch_params: branch.params(),
                macs_cascade: backbone_macs + paid,
                macs_selected: backbone_macs + branch_macs,
            });
        }
        let whole = self.backbone_macs();
        costs.push(ExitCost { backbone_macs: whole, branch_macs: 0, branch_params: 0, macs_cascade: whole + paid, macs_selected: whole });
        costs
    }

    /// MACs of the backbone with its head, without branches.
    pub fn backbone_macs(&self) -> u64 {
        self.backbone.total().macs
    }

    /// Trainable parameters, branches included.
    pub fn params(&self) -> u64 {
        self.backbone.total().params + self.branches.iter().map(Branch::params).sum::<u64>()
    }

    /// Number of exits, the final one included.
    pub fn n_exits(&self) -> usize {
        self.branches.len() + 1
    }
}

impl Plan {
    /// How far the branches' cost is from the budget, as a share of the budget; above 0 where they cost more.
    pub fn error(&self) -> f64 {
        (self.branch_macs as f64 - self.budget_macs as f64) / self.budget_macs as f64
    }
}

/// Why a job has no network.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// See [`backbone::BackboneError`].
    #[error(transparent)]
    Backbone(#[from] backbone::BackboneError),
    /// See [`dataset::DatasetError`].
    #[error(transparent)]
    Dataset(#[from] dataset::DatasetError),
    /// See [`ExitsError`].
    #[error(transparent)]
    Exits(#[from] ExitsError),
    /// See [`PatternError`].
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// See [`BranchError`].
    #[error(transparent)]
    Branch(#[from] BranchError),
}

/// A hint of the nearest budgets that all patterns meet; `None` where the budget is not all that is wrong with the job.
fn nearest_for_all(job: &JobConfig, patterns: &[Pattern], budget_macs: u64) -> Option<String> {
    let config = job.branches.as_ref()?;
    let dataset = dataset::parse(&job.dataset).ok()?;
    let backbone = backbone::build(&job.backbone, dataset.input, dataset.n_classes).ok()?;
    let points = exits::place(&backbone, &config.exits).ok()?;
    // A pattern that does not fit the exits is wrong by itself, whatever the budget.
    let shares: Vec<Vec<f64>> = patterns.iter().filter_map(|pattern| pattern::shares(pattern, points.len()).ok()).collect();
    let site = Site { points: &points, n_classes: dataset.n_classes, backbone_macs: backbone.total().macs };
    Some(branch::nearest(site, &shares, budget_macs, config.rule).hint(shares.len()))
}

/// The key of a sweep file that decides a part of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// Axis `backbone`.
    Backbone,
    /// Axis `dataset`.
    Dataset,
    /// Axis `exits`.
    Exits,
    /// Axis `pattern`.
    Pattern,
    /// Axis `budget`.
    Budget,
    /// Table `branch`: the rule and its depth.
    Branch,
}

impl NetworkError {
    /// What to try instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Backbone(error) => error.hint(),
            Self::Dataset(error) => error.hint(),
            Self::Exits(error) => error.hint(),
            Self::Pattern(error) => error.hint(),
            Self::Branch(error) => error.hint(),
        }
    }

    /// What to try instead where `job` failed beside others that differ from it in their pattern alone; `patterns` are those of all of
    /// them, its own among them. Budgets to try serve all of them.
    pub fn hint_for_all(&self, job: &JobConfig, patterns: &[Pattern]) -> String {
        match self {
            Self::Branch(BranchError::ClassifiersAlone { budget_macs, .. } | BranchError::Infeasible { budget_macs, .. }) => {
                nearest_for_all(job, patterns, *budget_macs).unwrap_or_else(|| self.hint())
            }
            _ => self.hint(),
        }
    }

    /// The key whose value is at fault.
    pub fn field(&self) -> Field {
        match self {
            Self::Backbone(backbone::BackboneError::Unknown { .. } | backbone::BackboneError::NoSuchSize { .. }) => Field::Backbone,
            Self::Backbone(backbone::BackboneError::InputTooSmall { .. }) | Self::Dataset(_) => Field::Dataset,
            Self::Exits(_) => Field::Exits,
            Self::Pattern(_) => Field::Pattern,
            Self::Branch(BranchError::Depth(_) | BranchError::LevelRule { .. }) => Field::Branch,
            Self::Branch(
                BranchError::BudgetOutOfRange(_)
                | BranchError::LevelBudget { .. }
                | BranchError::ClassifiersAlone { .. }
                | BranchError::Infeasible { .. },
            ) => Field::Budget,
        }
    }
}

#[cfg(test)]
mod tests;
