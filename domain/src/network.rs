//! A backbone with its branches: the one description that costs and modules come from.

use crate::backbone::Backbone;
use crate::layer::Layer;
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
pub fn assemble(_config: &crate::job::JobConfig) -> Result<Network, NetworkError> {
    todo!()
}

impl Network {
    /// Costs of every exit, side exits first to last, then the final exit.
    pub fn exit_costs(&self) -> Vec<ExitCost> {
        todo!()
    }

    /// MACs of the backbone with its head, without branches.
    pub fn backbone_macs(&self) -> u64 {
        todo!()
    }

    /// Trainable parameters, branches included.
    pub fn params(&self) -> u64 {
        todo!()
    }

    /// Number of exits, the final one included.
    pub fn n_exits(&self) -> usize {
        self.branches.len() + 1
    }
}

/// Why a job has no network. `hint` where there is something to try.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// See [`crate::backbone::BackboneError`].
    #[error(transparent)]
    Backbone(#[from] crate::backbone::BackboneError),
    /// No dataset has this name.
    #[error("no dataset is called `{0}`")]
    UnknownDataset(String),
}
