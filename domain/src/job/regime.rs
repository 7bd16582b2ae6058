//! What is particular to training a network with several exits.

use serde::{Deserialize, Serialize};

use super::{JobConfig, Pattern};

/// In which order backbone and branches are trained. Without side exits there is nothing but `joint`.
///
/// # Source
/// The names are those of Kubaty et al. (2024): joint, disjoint (here `frozen`) and mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Regime {
    /// Everything at once.
    #[default]
    Joint,
    /// The backbone with its head alone, for so many epochs; then, for the recipe's epochs, the branches on the backbone that no longer changes.
    Frozen {
        /// Epochs of the first phase.
        backbone_epochs: u32,
    },
    /// The backbone with its head alone, for so many epochs; then, for the recipe's epochs, everything.
    Mixed {
        /// Epochs of the first phase.
        backbone_epochs: u32,
    },
}

/// What the exits learn from besides the labels.
///
/// The loss of an exit is `(1 - lambda) cross-entropy + lambda T^2 KL(teacher at T || exit at T)`, without a gradient through the teacher.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Distill {
    /// Nothing.
    #[default]
    None,
    /// The last exit, which learns from the labels alone.
    Last {
        /// T: what logits are divided by before their softmax.
        temperature: f64,
        /// Weight of the teacher, 0 to 1.
        lambda: f64,
    },
    /// The weighted sum of all exits' logits.
    Ensemble {
        /// T: what logits are divided by before their softmax.
        temperature: f64,
        /// Weight of the teacher, 0 to 1.
        lambda: f64,
        /// Where the exits' weights in the sum come from.
        weights: EnsembleWeights,
    },
}

/// Where the exits' weights in an ensemble come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnsembleWeights {
    /// The softmax of scores, one an exit, that are learned with the network.
    Learned,
    /// Each exit's accuracy on the calibration split after the epoch before, over their sum.
    Calibration,
}

/// How much each exit's loss counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ExitWeights {
    /// 1 each.
    #[default]
    Equal,
    /// Exit k of K: `k / K`.
    Linear,
    /// 1 for the final exit; for the others `min(max, 0.01 + epoch max / epochs)`, the epoch counted from 0.
    ///
    /// # Source
    /// Kaya, Hong, Dumitras: Shallow-Deep Networks, arXiv 1810.07052.
    Ramp {
        /// What the weight grows to.
        max: f64,
    },
    /// One an exit, side exits first.
    List(Vec<f64>),
}

/// Weights that a backbone starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pretrained {
    /// A SafeTensors file; a relative path is one in the worker's data folder.
    pub file: String,
    /// SHA-256 of the file: 64 lower-case hexadecimal digits.
    pub sha256: String,
}

impl JobConfig {
    /// Whether the network has exits besides the final one.
    fn has_side_exits(&self) -> bool {
        self.branches.as_ref().is_some_and(|branches| branches.pattern != Pattern::FinalOnly)
    }

    /// Passes over the training split in all phases together.
    pub fn n_epochs(&self) -> u32 {
        match self.regime {
            Regime::Joint => self.recipe.epochs,
            // Without side exits there is nothing to train on a frozen backbone.
            Regime::Frozen { backbone_epochs } if !self.has_side_exits() => backbone_epochs,
            Regime::Frozen { backbone_epochs } | Regime::Mixed { backbone_epochs } => backbone_epochs.saturating_add(self.recipe.epochs),
        }
    }
}
