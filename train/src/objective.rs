//! What training minimises.
//!
//! The loss is the sum over the exits k of `w_k [(1 - lambda) CE_k + lambda T^2 KL(teacher at T || exit k at T)]`, each term a mean over the batch.
//! Without distillation lambda is 0.

use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData};
use offramp_domain::job::{Distill, ExitWeights};

use crate::batches::{Mixed, Sample};
use offramp_data::Images;

/// What a batch is to be taken for.
#[derive(Debug, Clone)]
pub enum Targets {
    /// One class a sample, `[batch]`.
    Classes(Tensor<1, Int>),
    /// Shares of all classes, `[batch, classes]`, each row summing to 1.
    Shares(Tensor<2>),
}

/// What training minimises, apart from the teacher.
#[derive(Debug)]
pub struct Objective {
    exit_weights: ExitWeights,
    distill: Distill,
    /// Epochs of the phase, which a ramp is laid over.
    n_epochs: u32,
    cross_entropy: CrossEntropyLoss,
}

/// The targets of a batch. Classes where every sample has one; shares where images are blended or `smoothing`, the part of a target that is
/// spread evenly over all classes, is above 0.
///
/// # Source
/// Label smoothing: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", section 7: the true class has
/// 1 - smoothing + smoothing / classes.
pub fn targets(images: &Images, samples: &[Sample], n_classes: usize, smoothing: f64, device: &Device) -> Targets {
    let label = |index: u32| images.labels[index as usize];
    if smoothing == 0.0 && samples.iter().all(|sample| sample.mixed.is_none()) {
        let labels: Vec<i32> = samples.iter().map(|sample| i32::from(label(sample.view.index))).collect();
        return Targets::Classes(Tensor::from_data(TensorData::new(labels, [samples.len()]), device));
    }
    let mut shares = vec![(smoothing / n_classes as f64) as f32; samples.len() * n_classes];
    for (shares, sample) in shares.chunks_exact_mut(n_classes).zip(samples) {
        let own = sample.mixed.map_or(1.0, |Mixed { share, .. }| 1.0 - share);
        shares[usize::from(label(sample.view.index))] += (1.0 - smoothing) as f32 * own;
        if let Some(Mixed { with, share }) = sample.mixed {
            shares[usize::from(label(with.index))] += (1.0 - smoothing) as f32 * share;
        }
    }
    Targets::Shares(Tensor::from_data(TensorData::new(shares, [samples.len(), n_classes]), device))
}

impl Objective {
    /// What a phase of `n_epochs` minimises.
    pub fn new(exit_weights: ExitWeights, distill: Distill, n_epochs: u32, device: &Device) -> Self {
        Self { exit_weights, distill, n_epochs, cross_entropy: CrossEntropyLossConfig::new().init(device) }
    }

    /// The loss of a batch in an epoch (0-based) of the phase. `logits_bk` has one element an exit, the final exit last; `teacher_bk` has the
    /// logits of the teacher, through which no gradient goes.
    ///
    /// # Shapes
    /// `[batch, classes]` each -> `[1]`.
    pub fn loss(&self, logits_bk: Vec<Tensor<2>>, targets: &Targets, teacher_bk: Option<&Tensor<2>>, epoch: u32) -> Tensor<1> {
        let n_exits = logits_bk.len();
        let weights = exit_weights(&self.exit_weights, n_exits, epoch, self.n_epochs);
        let terms = logits_bk.into_iter().enumerate().map(|(exit, logits_bk)| {
            let loss = self.loss_of_exit(logits_bk, targets, teacher_bk, exit + 1 == n_exits);
            if weights[exit] == 1.0 { loss } else { loss.mul_scalar(weights[exit]) }
        });
        terms.reduce(|sum, term| sum + term).expect("a network has a final exit")
    }

    fn loss_of_exit(&self, logits_bk: Tensor<2>, targets: &Targets, teacher_bk: Option<&Tensor<2>>, is_final: bool) -> Tensor<1> {
        let (temperature, lambda) = match self.distill {
            // It would learn from itself.
            Distill::Last { .. } if is_final => (1.0, 0.0),
            Distill::None => (1.0, 0.0),
            Distill::Last { temperature, lambda } | Distill::Ensemble { temperature, lambda, .. } => (temperature, lambda),
        };
        let Some(teacher_bk) = teacher_bk.filter(|_| lambda > 0.0) else { return self.cross_entropy(logits_bk, targets) };
        let taught = divergence(teacher_bk.clone(), logits_bk.clone(), temperature).mul_scalar(lambda * temperature * temperature);
        self.cross_entropy(logits_bk, targets).mul_scalar(1.0 - lambda) + taught
    }

    /// Mean cross-entropy of a batch, nats.
    ///
    /// # Shapes
    /// `[batch, classes]` -> `[1]`.
    pub fn cross_entropy(&self, logits_bk: Tensor<2>, targets: &Targets) -> Tensor<1> {
        match targets {
            Targets::Classes(classes_b) => self.cross_entropy.forward(logits_bk, classes_b.clone()),
            Targets::Shares(shares_bk) => (log_softmax(logits_bk, 1) * shares_bk.clone()).sum_dim(1).mean().neg(),
        }
    }
}

/// Mean KL divergence of a student's softmax from a teacher's, both at a temperature.
fn divergence(teacher_bk: Tensor<2>, student_bk: Tensor<2>, temperature: f64) -> Tensor<1> {
    let teacher_bk = teacher_bk.detach().div_scalar(temperature);
    let student = log_softmax(student_bk.div_scalar(temperature), 1);
    let difference = log_softmax(teacher_bk.clone(), 1) - student;
    (softmax(teacher_bk, 1) * difference).sum_dim(1).mean()
}

/// What each exit's loss is multiplied by in an epoch (0-based) of `n_epochs`.
fn exit_weights(rule: &ExitWeights, n_exits: usize, epoch: u32, n_epochs: u32) -> Vec<f64> {
    match rule {
        // A backbone that is trained alone has one exit, whatever the list is for.
        _ if n_exits == 1 => vec![1.0],
        ExitWeights::Equal => vec![1.0; n_exits],
        ExitWeights::Linear => (1..=n_exits).map(|exit| exit as f64 / n_exits as f64).collect(),
        ExitWeights::Ramp { max } => {
            let side = max.min(0.01 + f64::from(epoch) * max / f64::from(n_epochs));
            (1..=n_exits).map(|exit| if exit == n_exits { 1.0 } else { side }).collect()
        }
        ExitWeights::List(weights) => weights.clone(),
    }
}

#[cfg(test)]
mod tests;
