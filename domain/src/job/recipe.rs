//! How a network is trained, whatever the network: the fields of a recipe.

use serde::{Deserialize, Serialize};

use super::is_default;

/// How to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Passes over the training split.
    pub epochs: u32,
    /// Images a step.
    pub batch_size: u32,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// How the learning rate moves.
    pub schedule: Schedule,
    /// What is done to a training image.
    pub augment: Augment,
    /// Side of the square that is blanked at a random place of each training image, pixels; absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutout: Option<u32>,
    /// Training images are blended in pairs with a share drawn from Beta(a, a), this being a; absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixup: Option<f64>,
    /// Share of the target that is spread evenly over all classes, 0 to below 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub label_smoothing: f64,
    /// What gradients are cut to; absent where they are taken as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<Clip>,
    /// Whether weight decay pulls at batch norms and biases too.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub decay_norm: bool,
    /// Decay, a step, of the moving average of the weights that is evaluated in their place; absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Numbers that the network is trained in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub precision: Precision,
}

impl Recipe {
    /// A recipe of what has no default; all else is as it is when nothing is said of it.
    pub const fn new(epochs: u32, batch_size: u32, optimizer: Optimizer, schedule: Schedule, augment: Augment) -> Self {
        Self {
            epochs,
            batch_size,
            optimizer,
            schedule,
            augment,
            cutout: None,
            mixup: None,
            label_smoothing: 0.0,
            clip: None,
            decay_norm: true,
            ema: None,
            precision: Precision::F32,
        }
    }
}

/// What gradients are cut to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clip {
    /// All of them together to this Euclidean norm at most.
    Norm(f64),
    /// Each component to within this of 0.
    Value(f64),
}

/// Numbers that a network is trained in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    F32,
    /// 16-bit brain floating point, where the device has it.
    Bf16,
}

/// An optimiser with its settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum (dampening 0) and weight decay as an L2 term in the gradient.
    Sgd {
        /// Learning rate at the start.
        lr: f64,
        /// Momentum, 0 to below 1.
        momentum: f64,
        /// Nesterov's variant.
        nesterov: bool,
        /// Weight decay.
        weight_decay: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov, Hutter, arXiv 1711.05101).
    #[serde(rename = "adamw")]
    AdamW {
        /// Learning rate at the start.
        lr: f64,
        /// Decay of the first moment, 0 to below 1.
        beta1: f64,
        /// Decay of the second moment, 0 to below 1.
        beta2: f64,
        /// Added to the root of the second moment.
        epsilon: f64,
        /// Weight decay, times the learning rate.
        weight_decay: f64,
    },
}

/// How the learning rate moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// It doesn't.
    Constant,
    /// Down a half cosine, stepwise, to 0 after the last step.
    Cosine,
    /// Times `gamma` at the start of each milestone epoch (0-based).
    Step {
        /// Epochs at whose start the rate falls, rising.
        milestones: Vec<u32>,
        /// The factor.
        gamma: f64,
    },
    /// Linearly up to the start rate over the first epochs, then another schedule over what is left.
    Warmup {
        /// Epochs of the way up.
        epochs: u32,
        /// What follows; its milestones count from the start of training, as ever.
        then: Box<Schedule>,
    },
    /// Up half a cosine from `lr / start_divisor` to `lr` over a share of the steps, then down half a cosine to `lr / end_divisor`.
    ///
    /// # Source
    /// Smith, Topin: Super-Convergence, arXiv 1708.07120, in the two-phase form of PyTorch's `OneCycleLR`.
    OneCycle {
        /// Share of the steps on the way up, above 0 and below 1.
        warmup: f64,
        /// What the rate starts at, as a divisor of `lr`.
        start_divisor: f64,
        /// What it ends at, as a divisor of `lr`.
        end_divisor: f64,
    },
}

/// What is done to a training image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Augment {
    /// Nothing.
    None,
    /// A random crop of the image padded with zeros by an eighth of its side.
    Crop,
    /// A random horizontal flip.
    Flip,
    /// Both.
    CropFlip,
    /// Both, where the padding mirrors the image instead of being zero.
    CropFlipReflect,
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_yes(value: &bool) -> bool {
    *value
}
