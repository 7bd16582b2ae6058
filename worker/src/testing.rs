//! Configurations for this crate's tests.

use offramp_domain::job::{
    Augment, BranchConfig, BranchRule, Budget, Evaluation, ExitPlacement, JobConfig, Optimizer, Pattern, Policy, Recipe, Schedule,
};

/// A small job with three epochs.
pub(crate) fn config(dataset: &str, seed: u64) -> JobConfig {
    JobConfig::new(
        "resnet8",
        dataset,
        Some(BranchConfig {
            exits: ExitPlacement::StageEnds,
            pattern: Pattern::Constant,
            budget: Budget::Levels(6),
            rule: BranchRule::Auto,
        }),
        Recipe::new(3, 64, Optimizer::Sgd { lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 5e-4 }, Schedule::Cosine, Augment::None),
        Evaluation::new(0.1, vec![Policy::MaxSoftmax]),
        seed,
    )
}
