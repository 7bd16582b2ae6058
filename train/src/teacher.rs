//! What exits learn from besides the labels: one of them, or all of them together.

use burn::module::{Module, Param};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::activation::softmax;
use burn::tensor::{Bytes, Device, Gradients, Tensor, TensorData};
use offramp_domain::job::{Distill, EnsembleWeights, Recipe};

use crate::objective::{Objective, Targets};
use crate::optimizer;

/// Where the teacher's logits come from.
#[derive(Debug)]
pub enum Teacher {
    /// There is none.
    None,
    /// The final exit.
    Last,
    /// The sum of all exits' logits with these weights, one an exit, which sum to 1.
    Fixed(Vec<f64>),
    /// The same with weights that are learned.
    Learned(Box<Learned>),
}

/// Weights of the exits in an ensemble: the softmax of scores that descend the ensemble's own cross-entropy. Nothing flows from there into the
/// network.
pub struct Learned {
    scores: Scores,
    optimizer: ModuleOptimizer,
}

/// One score an exit, all 0 at the start.
#[derive(Module, Debug)]
struct Scores {
    scores: Param<Tensor<1>>,
}

impl Teacher {
    /// The teacher at the start of a phase with `n_exits` exits. One exit alone has no teacher. Scores are learned by the recipe's optimiser
    /// at the network's learning rate, without decay.
    pub fn start(distill: Distill, n_exits: usize, recipe: &Recipe, device: &Device) -> Self {
        match distill {
            _ if n_exits == 1 => Self::None,
            Distill::None => Self::None,
            Distill::Last { .. } => Self::Last,
            Distill::Ensemble { weights: EnsembleWeights::Calibration, .. } => Self::Fixed(vec![(n_exits as f64).recip(); n_exits]),
            Distill::Ensemble { weights: EnsembleWeights::Learned, .. } => {
                let scores = Scores { scores: Param::from_data(TensorData::zeros::<f32, _>([n_exits]), device) };
                // They are a vector: not decayed.
                let optimizer = optimizer::build(&Recipe { decay_norm: false, ..recipe.clone() }, &scores);
                Self::Learned(Box::new(Learned { scores, optimizer }))
            }
        }
    }

    /// The teacher's logits for a batch, from those of all exits, the final exit last.
    ///
    /// # Shapes
    /// `[batch, classes]` each -> `[batch, classes]`.
    pub fn logits(&self, logits_bk: &[Tensor<2>]) -> Option<Tensor<2>> {
        match self {
            Self::None => None,
            Self::Last => logits_bk.last().map(|last| last.clone().detach()),
            Self::Fixed(weights) => {
                let weighted = logits_bk.iter().zip(weights).map(|(logits_bk, weight)| logits_bk.clone().detach().mul_scalar(*weight));
                weighted.reduce(|sum, logits_bk| sum + logits_bk)
            }
            Self::Learned(learned) => Some(learned.logits(logits_bk)),
        }
    }

    /// The loss that learned weights descend; `None` for other teachers. `teacher_bk` is what [`Teacher::logits`] gave.
    pub fn own_loss(&self, teacher_bk: Option<&Tensor<2>>, objective: &Objective, targets: &Targets) -> Option<Tensor<1>> {
        match self {
            Self::Learned(_) => teacher_bk.map(|teacher_bk| objective.cross_entropy(teacher_bk.clone(), targets)),
            Self::None | Self::Last | Self::Fixed(_) => None,
        }
    }

    /// Takes a step with learned weights.
    #[must_use]
    pub fn step(self, gradients: &mut Gradients, rate: f64) -> Self {
        match self {
            Self::Learned(mut learned) => {
                let gradients = GradientsParams::from_module(gradients, &learned.scores);
                learned.scores = learned.optimizer.step(rate, learned.scores, gradients);
                Self::Learned(learned)
            }
            other @ (Self::None | Self::Last | Self::Fixed(_)) => other,
        }
    }

    /// Takes in what share of the calibration split each exit got right after an epoch. What was taken in before leaves no trace, as a run that
    /// is resumed would not know it.
    pub fn take_accuracies(&mut self, accuracies: &[f64]) {
        if let Self::Fixed(weights) = self {
            let sum: f64 = accuracies.iter().sum();
            // Where nothing is right, nothing is said of which is better: all weigh the same, as at the start.
            let weigh = |accuracy: &f64| if sum > 0.0 { accuracy / sum } else { (accuracies.len() as f64).recip() };
            *weights = accuracies.iter().map(weigh).collect();
        }
    }

    /// What is to be kept of learned weights: scores and the optimiser's state.
    ///
    /// # Errors
    /// When they cannot be written down.
    pub fn record(&self) -> Result<Option<(Bytes, Bytes)>, RecordError> {
        match self {
            Self::Learned(learned) => Ok(Some((learned.scores.clone().into_record().into_bytes()?, learned.optimizer.into_bytes()?))),
            Self::None | Self::Last | Self::Fixed(_) => Ok(None),
        }
    }

    /// Goes on with learned weights that were recorded.
    ///
    /// # Errors
    /// When the record is not of such weights.
    pub fn resume(self, recipe: &Recipe, scores: Bytes, optimizer_state: Bytes) -> Result<Self, RecordError> {
        match self {
            Self::Learned(learned) => {
                let scores = learned.scores.try_load_record(ModuleRecord::from_bytes(scores)?)?;
                let optimizer = optimizer::build(&Recipe { decay_norm: false, ..recipe.clone() }, &scores).from_bytes(optimizer_state)?;
                Ok(Self::Learned(Box::new(Learned { scores, optimizer })))
            }
            other @ (Self::None | Self::Last | Self::Fixed(_)) => Ok(other),
        }
    }
}

impl Learned {
    fn logits(&self, logits_bk: &[Tensor<2>]) -> Tensor<2> {
        let weights = softmax(self.scores.scores.val(), 0);
        let weighted = logits_bk.iter().enumerate().map(|(exit, logits_bk)| {
            let weight = weights.clone().slice(exit..=exit).reshape([1, 1]);
            logits_bk.clone().detach() * weight
        });
        weighted.reduce(|sum, logits_bk| sum + logits_bk).expect("a network has a final exit")
    }
}

impl std::fmt::Debug for Learned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Learned").field("scores", &self.scores).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
