//! Configurations for this crate's tests.

use offramp_domain::job::{
    Augment, BranchConfig, BranchRule, Budget, CONFIG_VERSION, Evaluation, ExitPlacement, JobConfig, Optimizer, Pattern, Policy, Recipe,
    Schedule,
};

/// A small job with three epochs.
pub(crate) fn config(dataset: &str, seed: u64) -> JobConfig {
    JobConfig {
        version: CONFIG_VERSION,
        backbone: "resnet8".into(),
        dataset: dataset.into(),
        branches: Some(BranchConfig {
            exits: ExitPlacement::StageEnds,
            pattern: Pattern::Constant,
            budget: Budget::Levels(6),
            rule: BranchRule::Auto,
        }),
        recipe: Recipe {
            epochs: 3,
            batch_size: 64,
            optimizer: Optimizer::Sgd { lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 5e-4 },
            schedule: Schedule::Cosine,
            augment: Augment::None,
        },
        evaluation: Evaluation { calibration: 0.1, policies: vec![Policy::MaxSoftmax], latency: false },
        private_to: None,
        seed,
    }
}
