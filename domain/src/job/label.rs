//! A job's training as it stands in tables. Labels tell apart what job keys tell apart.

use super::{Augment, Clip, Distill, EnsembleWeights, ExitWeights, JobConfig, Optimizer, Precision, Recipe, Regime, Schedule, slashed};

impl JobConfig {
    /// The recipe as it stands in tables: `15 epochs, batch 32, sgd 0.05 m 0.9 nesterov wd 0.0005, cosine, crop`. These five parts are always
    /// there; of everything else, what is not as it is when nothing is said of it: `15 epochs, ..., crop, smoothing 0.1, ema 0.999`.
    pub fn recipe_label(&self) -> String {
        let mut parts = vec![self.recipe.label()];
        parts.extend(self.training_parts());
        if self.gradient_equilibrium {
            parts.push("gradient equilibrium".to_owned());
        }
        if let Some(pretrained) = &self.pretrained {
            parts.push(format!("from {} {}", pretrained.file, pretrained.sha256));
        }
        parts.join(", ")
    }

    /// Regime, distillation and exit weights where they are not as they are when nothing is said of them. They have columns of their own in
    /// `v_jobs`; here they are because what is grouped by the recipe must be trained alike.
    fn training_parts(&self) -> impl Iterator<Item = String> {
        let parts = [
            (self.regime != Regime::Joint).then(|| self.regime_label()),
            (self.distill != Distill::None).then(|| format!("distilled from {}", self.distill_label())),
            (self.exit_weights != ExitWeights::Equal).then(|| format!("exit weights {}", self.exit_weights_label())),
        ];
        parts.into_iter().flatten()
    }

    /// The regime as it stands in tables: `joint`, `frozen after 100 epochs`, `mixed after 100 epochs`.
    pub fn regime_label(&self) -> String {
        match self.regime {
            Regime::Joint => "joint".to_owned(),
            Regime::Frozen { backbone_epochs } => format!("frozen after {}", epochs_label(backbone_epochs)),
            Regime::Mixed { backbone_epochs } => format!("mixed after {}", epochs_label(backbone_epochs)),
        }
    }

    /// The distillation as it stands in tables: `none`, `last 0.5 T 3`, `learned ensemble 0.5 T 3`, `calibration ensemble 0.5 T 3`.
    pub fn distill_label(&self) -> String {
        match self.distill {
            Distill::None => "none".to_owned(),
            Distill::Last { temperature, lambda } => format!("last {lambda} T {temperature}"),
            Distill::Ensemble { temperature, lambda, weights } => {
                let weights = match weights {
                    EnsembleWeights::Learned => "learned",
                    EnsembleWeights::Calibration => "calibration",
                };
                format!("{weights} ensemble {lambda} T {temperature}")
            }
        }
    }

    /// The exits' weights in the loss as they stand in tables: `equal`, `linear`, `ramp 0.5`, `0.3/0.3/1`.
    pub fn exit_weights_label(&self) -> String {
        match &self.exit_weights {
            ExitWeights::Equal => "equal".to_owned(),
            ExitWeights::Linear => "linear".to_owned(),
            ExitWeights::Ramp { max } => format!("ramp {max}"),
            ExitWeights::List(weights) => slashed(weights),
        }
    }
}

impl Recipe {
    /// The recipe alone, without what is particular to several exits and to pretrained weights.
    pub(crate) fn label(&self) -> String {
        let Self { epochs, batch_size, .. } = self;
        let mut parts = vec![epochs_label(*epochs), format!("batch {batch_size}"), self.optimizer_label(), self.schedule_label()];
        parts.push(self.augment_label().to_owned());
        parts.extend(extra_parts(self));
        parts.join(", ")
    }

    /// The optimiser: `sgd 0.05 m 0.9 nesterov wd 0.0005`.
    pub(crate) fn optimizer_label(&self) -> String {
        optimizer_label(&self.optimizer)
    }

    /// The schedule: `cosine`, `step 0.1 at 15/25`.
    pub(crate) fn schedule_label(&self) -> String {
        schedule_label(&self.schedule)
    }

    /// The augmentation: `crop-flip`.
    pub(crate) const fn augment_label(&self) -> &'static str {
        augment_label(self.augment)
    }
}

fn epochs_label(epochs: u32) -> String {
    if epochs == 1 { "1 epoch".to_owned() } else { format!("{epochs} epochs") }
}

fn optimizer_label(optimizer: &Optimizer) -> String {
    // What is switched off is left out.
    let decay = |weight_decay: f64| if weight_decay == 0.0 { String::new() } else { format!(" wd {weight_decay}") };
    match *optimizer {
        Optimizer::Sgd { lr, momentum, nesterov, weight_decay } => {
            let momentum = if momentum == 0.0 { String::new() } else { format!(" m {momentum}") };
            let nesterov = if nesterov { " nesterov" } else { "" };
            format!("sgd {lr}{momentum}{nesterov}{}", decay(weight_decay))
        }
        Optimizer::AdamW { lr, beta1, beta2, epsilon, weight_decay } => {
            let betas = if (beta1, beta2) == (0.9, 0.999) { String::new() } else { format!(" betas {beta1}/{beta2}") };
            let epsilon = if epsilon == 1e-8 { String::new() } else { format!(" eps {epsilon}") };
            format!("adamw {lr}{betas}{epsilon}{}", decay(weight_decay))
        }
    }
}

fn schedule_label(schedule: &Schedule) -> String {
    match schedule {
        Schedule::Constant => "constant".to_owned(),
        Schedule::Cosine => "cosine".to_owned(),
        Schedule::Step { milestones, gamma } => {
            let milestones: Vec<String> = milestones.iter().map(u32::to_string).collect();
            format!("step {gamma} at {}", milestones.join("/"))
        }
        Schedule::Warmup { epochs, then } => format!("warm-up {epochs} then {}", schedule_label(then)),
        Schedule::OneCycle { warmup, start_divisor, end_divisor } => format!("one-cycle {warmup} /{start_divisor} /{end_divisor}"),
    }
}

const fn augment_label(augment: Augment) -> &'static str {
    match augment {
        Augment::None => "no augmentation",
        Augment::Crop => "crop",
        Augment::Flip => "flip",
        Augment::CropFlip => "crop-flip",
        Augment::CropFlipReflect => "crop-flip-reflect",
    }
}

/// The parts of a recipe that are not as they are when nothing is said of them.
fn extra_parts(recipe: &Recipe) -> impl Iterator<Item = String> {
    let clip = recipe.clip.map(|clip| match clip {
        Clip::Norm(norm) => format!("clip norm {norm}"),
        Clip::Value(value) => format!("clip value {value}"),
    });
    let precision = match recipe.precision {
        Precision::F32 => None,
        Precision::Bf16 => Some("bf16".to_owned()),
    };
    let parts = [
        recipe.cutout.map(|side| format!("cutout {side}")),
        recipe.mixup.map(|alpha| format!("mixup {alpha}")),
        (recipe.label_smoothing != 0.0).then(|| format!("smoothing {}", recipe.label_smoothing)),
        clip,
        (!recipe.decay_norm).then(|| "norms undecayed".to_owned()),
        recipe.ema.map(|decay| format!("ema {decay}")),
        precision,
    ];
    parts.into_iter().flatten()
}
