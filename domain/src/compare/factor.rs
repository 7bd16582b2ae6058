//! What cells may differ in.

use crate::job::{BranchRule, Budget, Clip, JobConfig, Pattern, Precision};
use crate::spelling;

/// What cells are compared by: an axis of sweep files, the recipe as a whole, or the sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Factor {
    /// How the branch budget is shared out.
    Pattern,
    /// The backbone.
    Backbone,
    /// The dataset.
    Dataset,
    /// Where exits hang.
    Exits,
    /// The branch budget.
    Budget,
    /// How shares become layers.
    Rule,
    /// In which order backbone and branches are trained.
    Regime,
    /// What exits learn from besides the labels.
    Distill,
    /// How much each exit's loss counts.
    ExitWeights,
    /// Whether gradients are brought into equilibrium.
    GradientEquilibrium,
    /// The weights that the backbone starts from.
    Pretrained,
    /// Everything of the recipe at once, as in `[recipe]`.
    Recipe,
    /// Passes over the training split.
    Epochs,
    /// Images a step.
    BatchSize,
    /// The optimiser with its settings.
    Optimizer,
    /// How the learning rate moves.
    Schedule,
    /// What is done to training images.
    Augment,
    /// The square that is blanked.
    Cutout,
    /// How images are blended.
    Mixup,
    /// How targets are softened.
    LabelSmoothing,
    /// What gradients are cut to.
    Clip,
    /// Whether norms decay.
    DecayNorm,
    /// The moving average that is evaluated.
    Ema,
    /// Numbers that the network is trained in.
    Precision,
    /// The sweep. What sweeps differ in as a whole is part of it.
    Sweep,
}

/// A factor that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cells can't be compared by {}", spelling::quote(.name))]
pub struct UnknownFactor {
    /// What was asked for.
    pub name: String,
    /// What was perhaps meant.
    pub suggestion: Option<Factor>,
}

impl UnknownFactor {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self.suggestion {
            Some(factor) => format!("did you mean `{}`?", factor.as_str()),
            None => format!("they can be by `{}`", Factor::ALL.map(Factor::as_str).join("`, `")),
        }
    }
}

impl Factor {
    /// Every factor.
    pub const ALL: [Self; 25] = [
        Self::Pattern,
        Self::Backbone,
        Self::Dataset,
        Self::Exits,
        Self::Budget,
        Self::Rule,
        Self::Regime,
        Self::Distill,
        Self::ExitWeights,
        Self::GradientEquilibrium,
        Self::Pretrained,
        Self::Recipe,
        Self::Epochs,
        Self::BatchSize,
        Self::Optimizer,
        Self::Schedule,
        Self::Augment,
        Self::Cutout,
        Self::Mixup,
        Self::LabelSmoothing,
        Self::Clip,
        Self::DecayNorm,
        Self::Ema,
        Self::Precision,
        Self::Sweep,
    ];

    /// The factor's name: that of the axis, with dashes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pattern => "pattern",
            Self::Backbone => "backbone",
            Self::Dataset => "dataset",
            Self::Exits => "exits",
            Self::Budget => "budget",
            Self::Rule => "rule",
            Self::Regime => "regime",
            Self::Distill => "distill",
            Self::ExitWeights => "exit-weights",
            Self::GradientEquilibrium => "gradient-equilibrium",
            Self::Pretrained => "pretrained",
            Self::Recipe => "recipe",
            Self::Epochs => "epochs",
            Self::BatchSize => "batch-size",
            Self::Optimizer => "optimizer",
            Self::Schedule => "schedule",
            Self::Augment => "augment",
            Self::Cutout => "cutout",
            Self::Mixup => "mixup",
            Self::LabelSmoothing => "label-smoothing",
            Self::Clip => "clip",
            Self::DecayNorm => "decay-norm",
            Self::Ema => "ema",
            Self::Precision => "precision",
            Self::Sweep => "sweep",
        }
    }

    /// The factor of this name. Underscores do for dashes.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse(name: &str) -> Result<Self, UnknownFactor> {
        let canonical = name.replace('_', "-");
        let of_name = |name: &str| Self::ALL.into_iter().find(|factor| factor.as_str() == name);
        of_name(&canonical).ok_or_else(|| UnknownFactor {
            name: name.to_owned(),
            suggestion: spelling::suggest(&canonical, Self::ALL.iter().map(|factor| factor.as_str())).and_then(of_name),
        })
    }

    /// Whether areas mean another thing at each level.
    pub const fn is_across_areas(self) -> bool {
        matches!(self, Self::Backbone | Self::Dataset)
    }

    /// Whether a part of the configuration, named by its place in it, is the factor's.
    pub(super) fn has_part(self, part: &str) -> bool {
        match self {
            Self::Pattern => part == "branches.pattern",
            Self::Backbone | Self::Dataset | Self::Regime | Self::Distill | Self::Pretrained => part == self.as_str(),
            Self::Exits | Self::Budget | Self::Rule => part.strip_prefix("branches.") == Some(self.as_str()),
            Self::ExitWeights => part == "exit_weights",
            Self::GradientEquilibrium => part == "gradient_equilibrium",
            Self::Recipe => part.starts_with("recipe."),
            Self::BatchSize => part == "recipe.batch_size",
            Self::LabelSmoothing => part == "recipe.label_smoothing",
            Self::DecayNorm => part == "recipe.decay_norm",
            Self::Epochs
            | Self::Optimizer
            | Self::Schedule
            | Self::Augment
            | Self::Cutout
            | Self::Mixup
            | Self::Clip
            | Self::Ema
            | Self::Precision => part.strip_prefix("recipe.") == Some(self.as_str()),
            Self::Sweep => false,
        }
    }

    /// The level that a cell has, as tables write it; none where the factor means nothing to it.
    pub(super) fn level(self, config: &JobConfig, sweep: &str) -> Option<String> {
        let recipe = &config.recipe;
        let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
        if without_meaning(config).iter().any(|part| self.has_part(part)) {
            return None;
        }
        Some(match self {
            Self::Pattern => config.pattern_label(),
            Self::Backbone => config.backbone.clone(),
            Self::Dataset => config.dataset.clone(),
            Self::Exits => config.exits_label(),
            Self::Budget => config.budget_label(),
            Self::Rule => rule(config.branches.as_ref()?.rule),
            Self::Regime => config.regime_label(),
            Self::Distill => config.distill_label(),
            Self::ExitWeights => config.exit_weights_label(),
            Self::GradientEquilibrium => yes(config.gradient_equilibrium),
            Self::Pretrained => or_none(config.pretrained.as_ref().map(|weights| format!("{} {}", weights.file, weights.sha256))),
            Self::Recipe => recipe.label(),
            Self::Epochs => recipe.epochs.to_string(),
            Self::BatchSize => recipe.batch_size.to_string(),
            Self::Optimizer => recipe.optimizer_label(),
            Self::Schedule => recipe.schedule_label(),
            Self::Augment => recipe.augment_label().to_owned(),
            Self::Cutout => or_none(recipe.cutout.map(|side| side.to_string())),
            Self::Mixup => or_none(recipe.mixup.map(|alpha| alpha.to_string())),
            Self::LabelSmoothing => recipe.label_smoothing.to_string(),
            Self::Clip => or_none(recipe.clip.map(|clip| match clip {
                Clip::Norm(norm) => format!("norm {norm}"),
                Clip::Value(value) => format!("value {value}"),
            })),
            Self::DecayNorm => yes(recipe.decay_norm),
            Self::Ema => or_none(recipe.ema.map(|decay| decay.to_string())),
            Self::Precision => match recipe.precision {
                Precision::F32 => "f32",
                Precision::Bf16 => "bf16",
            }
            .to_owned(),
            Self::Sweep => sweep.to_owned(),
        })
    }
}

fn rule(rule: BranchRule) -> String {
    match rule {
        BranchRule::Auto => "auto".to_owned(),
        BranchRule::Levels => "levels".to_owned(),
        BranchRule::Width { depth } => format!("width, depth {depth}"),
        BranchRule::Joint => "joint".to_owned(),
    }
}

/// The parts of a configuration that its pattern leaves no choice of: what has no branches has no exits, and what has one exit has nothing to
/// balance between exits.
pub(super) fn without_meaning(config: &JobConfig) -> &'static [&'static str] {
    const PLAIN: &[&str] =
        &["branches.budget", "branches.exits", "branches.rule", "distill", "exit_weights", "gradient_equilibrium", "regime"];
    const FINAL_ONLY: &[&str] = &["branches.exits", "distill", "exit_weights", "gradient_equilibrium", "regime"];
    const OWN: &[&str] = &["branches.budget", "branches.exits", "branches.rule"];
    match config.branches.as_ref() {
        None => PLAIN,
        Some(branches) if branches.pattern == Pattern::FinalOnly => FINAL_ONLY,
        Some(branches) if branches.pattern == Pattern::Own || branches.budget == Budget::Own => OWN,
        Some(_) => &[],
    }
}
