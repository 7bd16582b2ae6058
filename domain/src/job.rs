//! A job's canonical configuration and its key.

mod label;
mod recipe;
mod regime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::recipe::{Augment, Clip, Optimizer, Precision, Recipe, Schedule};
pub use self::regime::{Distill, EnsembleWeights, ExitWeights, Pretrained, Regime};

/// Everything that a job's result depends on. Two equal configurations are the same work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobConfig {
    /// Version of what these fields mean; part of the key, so that a change of meaning is never mistaken for the same work.
    pub version: u32,
    /// The backbone's canonical name.
    pub backbone: String,
    /// The dataset's name.
    pub dataset: String,
    /// The branches; absent for pattern `none`.
    pub branches: Option<BranchConfig>,
    /// In which order backbone and branches are trained.
    #[serde(default, skip_serializing_if = "is_default")]
    pub regime: Regime,
    /// What the exits learn from besides the labels.
    #[serde(default, skip_serializing_if = "is_default")]
    pub distill: Distill,
    /// How much each exit's loss counts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub exit_weights: ExitWeights,
    /// Whether gradients are scaled so that each part of the backbone gets the mean of the later exits' instead of their sum.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gradient_equilibrium: bool,
    /// Weights that the backbone starts from; absent where it starts fresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretrained: Option<Pretrained>,
    /// How to train.
    pub recipe: Recipe,
    /// How to evaluate.
    pub evaluation: Evaluation,
    /// The sweep that shares the job with no sweep of another name; absent where equal work is done once. It changes the key and nothing
    /// else, and is not written where it is absent, so that it changes no key that was there before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_to: Option<String>,
    /// Seed of everything random. The last field: [`CellJson`] relies on it.
    pub seed: u64,
}

/// What branches a network gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BranchConfig {
    /// Where exits hang.
    pub exits: ExitPlacement,
    /// How the budget is shared out.
    pub pattern: Pattern,
    /// Total branch cost.
    pub budget: Budget,
    /// How shares become layers.
    pub rule: BranchRule,
}

/// Where exits hang.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitPlacement {
    /// After the last unit of every stage.
    StageEnds,
    /// After the units whose cumulative backbone MACs come nearest to these fractions of the whole backbone's.
    Fractions(Vec<f64>),
    /// After the units with these indices, rising; 0 is the stem.
    Units(Vec<u32>),
    /// Where the exits hang that the backbone was published with.
    Own,
}

/// How the branch budget is shared out over the exits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// The same share everywhere.
    Constant,
    /// Shares rise linearly towards the end, with this slope in (0, 1].
    Increasing(f64),
    /// Shares fall linearly towards the end, with this slope in (0, 1].
    Decreasing(f64),
    /// Explicit shares, one an exit, summing to 1.
    List(Vec<f64>),
    /// Shares by equal ratios from exit to exit, with this logarithm of the last share over the first: above 0 they rise, below 0 they fall.
    Geometric(f64),
    /// Shares like this power of the backbone's MACs that are left to do at an exit: above 0 they fall, below 0 they rise.
    RemainingWork(f64),
    /// Shares that curve: above 0 a hump, with more in the middle, below 0 a U, with more at both ends; what would be negative is 0.
    Hump(f64),
    /// Everything at this exit, counted from 1; the others are linear classifiers.
    Single(u32),
    /// Shares drawn with this seed, every way of sharing out as likely as any other.
    Random(u64),
    /// The branches that the backbone was published with. They cost what they cost: exits, budget and rule are no matter of choice.
    Own,
    /// No side exits: everything is spent on convolutions before the final classifier. Says what the same MACs do without exits.
    FinalOnly,
}

/// Total cost of the side branches; the backbone's own head is not counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// As a share of the backbone's MACs.
    Share(f64),
    /// As a number of convolution levels (with the classifiers on top), where a level costs the same at every exit.
    Levels(u32),
    /// As MACs.
    Macs(u64),
    /// As a share of the backbone's MACs that an input is expected to spend on branches, where not every input comes by every branch.
    Expected {
        /// The share.
        share: f64,
        /// Which part of the inputs leaves at each exit, side exits first to last, then the final exit; they sum to 1.
        exits: Vec<f64>,
    },
    /// As a share of the backbone's parameters: branches of equal size rather than of equal cost.
    ParamShare(f64),
    /// Whatever the pattern [`Pattern::Own`] costs, and for it alone.
    Own,
}

/// How shares become layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BranchRule {
    /// Levels where they cost the same at every exit and meet the budget, width at depth 2 otherwise.
    Auto,
    /// Whole levels or nothing.
    Levels,
    /// Convolutions of this number a branch, width solved for.
    Width {
        /// Convolutions in every branch.
        depth: u32,
    },
    /// Depth and width together, of every exit its own.
    Joint,
}

/// How to evaluate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Share of the training set held out for choosing thresholds, in (0, 0.5].
    pub calibration: f64,
    /// Exit policies to evaluate; `fixed` (always leave at exit k) is always among the results.
    pub policies: Vec<Policy>,
    /// Whether latency and throughput are measured with real early exit. Off, results are a pure function of the configuration.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub latency: bool,
}

impl Evaluation {
    /// What sweep files ask for with these two alone.
    pub fn new(calibration: f64, policies: Vec<Policy>) -> Self {
        Self { calibration, policies, latency: false }
    }
}

/// When a sample leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// At the first exit whose largest softmax probability reaches the threshold.
    MaxSoftmax,
    /// At the first exit whose softmax has no more entropy than the threshold, nats (Teerapittayanon et al., 2016).
    Entropy,
    /// At the first exit whose largest softmax probability exceeds the second largest by the threshold.
    Margin,
    /// At the first exit that as many exits right before it agree with, in their predictions (Zhou et al., 2020, without its thresholds).
    Patience,
    /// At the first exit where the largest probability of the mean of all softmaxes so far reaches the threshold; that mean answers.
    Ensemble,
    /// Quotas of samples that leave at each exit, the surest first by the largest softmax probability; each quota is the setting times the
    /// one before (Huang et al., 2018).
    Budgeted,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 6] = [Self::MaxSoftmax, Self::Entropy, Self::Margin, Self::Patience, Self::Ensemble, Self::Budgeted];

    /// The policy's name in sweep files, results and commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxSoftmax => "max-softmax",
            Self::Entropy => "entropy",
            Self::Margin => "margin",
            Self::Patience => "patience",
            Self::Ensemble => "ensemble",
            Self::Budgeted => "budgeted",
        }
    }

    /// The policy of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == name)
    }
}

/// Version of the fields' meaning that this build writes.
pub const CONFIG_VERSION: u32 = 1;

/// The hash of a job's canonical configuration: 32 lower-case hexadecimal digits (the first half of a SHA-256).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobKey([u8; 32]);

impl JobKey {
    /// Takes a key as it is written; `None` unless it is 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 32] = text.as_bytes().try_into().ok()?;
        digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')).then_some(Self(digits))
    }

    /// The whole key.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }

    /// The job's id in tables and commands: the key's first 12 digits.
    pub fn id(&self) -> &str {
        &self.as_str()[..12]
    }
}

impl std::fmt::Debug for JobKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("JobKey").field(&self.as_str()).finish()
    }
}

impl std::fmt::Display for JobKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id())
    }
}

impl BranchConfig {
    /// Branches of the pattern `pattern`. What the pattern leaves no choice of is as every job of that pattern has it, so that equal work has
    /// one key.
    pub fn canonical(exits: ExitPlacement, pattern: Pattern, budget: Budget, rule: BranchRule) -> Self {
        match pattern {
            Pattern::Own => Self { exits: ExitPlacement::Own, pattern, budget: Budget::Own, rule: BranchRule::Auto },
            Pattern::FinalOnly => Self { exits: ExitPlacement::StageEnds, pattern, budget, rule },
            _ => Self { exits, pattern, budget, rule },
        }
    }
}

impl JobConfig {
    /// A configuration of what has no default; all else is as it is when nothing is said of it.
    pub fn new(
        backbone: impl Into<String>,
        dataset: impl Into<String>,
        branches: Option<BranchConfig>,
        recipe: Recipe,
        evaluation: Evaluation,
        seed: u64,
    ) -> Self {
        Self {
            version: CONFIG_VERSION,
            backbone: backbone.into(),
            dataset: dataset.into(),
            branches,
            regime: Regime::Joint,
            distill: Distill::None,
            exit_weights: ExitWeights::Equal,
            gradient_equilibrium: false,
            pretrained: None,
            recipe,
            evaluation,
            private_to: None,
            seed,
        }
    }

    /// The configuration as canonical JSON: fixed field order, shortest round-trip numbers, no white space.
    pub fn canonical_json(&self) -> String {
        serde_json::to_string(self).expect("a configuration has only string keys and finite numbers")
    }

    /// Reads a configuration back.
    ///
    /// # Errors
    /// When the text is not a configuration, or is one of another version.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        // Another version may have other fields, so its number is read first and alone.
        #[derive(Deserialize)]
        struct Header {
            version: u32,
        }
        let Header { version } = serde_json::from_str(text)?;
        if version == CONFIG_VERSION { Ok(serde_json::from_str(text)?) } else { Err(ConfigError::Version(version)) }
    }

    /// The job's key.
    pub fn key(&self) -> JobKey {
        JobKey(half_of(Sha256::new().chain_update(self.canonical_json())))
    }

    /// The branching pattern as it stands in tables: `none`, `constant`, `increasing 0.6`, `list 0.5/0.3/0.2`,
    /// `geometric -1.5`, `final-only`.
    pub fn pattern_label(&self) -> String {
        match self.branches.as_ref().map(|branches| &branches.pattern) {
            None => "none".to_owned(),
            Some(Pattern::Constant) => "constant".to_owned(),
            Some(Pattern::Increasing(slope)) => format!("increasing {slope}"),
            Some(Pattern::Decreasing(slope)) => format!("decreasing {slope}"),
            Some(Pattern::List(shares)) => format!("list {}", slashed(shares)),
            Some(Pattern::Geometric(log_ratio)) => format!("geometric {log_ratio}"),
            Some(Pattern::RemainingWork(power)) => format!("remaining-work {power}"),
            Some(Pattern::Hump(curvature)) => format!("hump {curvature}"),
            Some(Pattern::Single(exit)) => format!("single {exit}"),
            Some(Pattern::Random(seed)) => format!("random {seed}"),
            Some(Pattern::Own) => "own".to_owned(),
            Some(Pattern::FinalOnly) => "final-only".to_owned(),
        }
    }

    /// The exits as they stand in tables: `stage-ends`, fractions of the backbone's MACs such as `0.15/0.3`, units such as `units 3/5/7`, or
    /// `own`; `-` without side exits.
    pub fn exits_label(&self) -> String {
        let Some(branches) = &self.branches else { return "-".to_owned() };
        match &branches.exits {
            // Where there are no side exits, a configuration has the stage ends; whatever else it has is told, as its key tells it.
            ExitPlacement::StageEnds if branches.pattern == Pattern::FinalOnly => "-".to_owned(),
            ExitPlacement::StageEnds => "stage-ends".to_owned(),
            ExitPlacement::Fractions(fractions) => slashed(fractions),
            ExitPlacement::Own => "own".to_owned(),
            ExitPlacement::Units(units) => format!("units {}", slashed(units)),
        }
    }

    /// The budget as it stands in tables: `25 %`, `6 levels`, `14156896 MACs`, `25 % expected at 0.4/0.3/0.3`, `25 % of params`,
    /// `own`; `-` without branches.
    pub fn budget_label(&self) -> String {
        match self.branches.as_ref().map(|branches| &branches.budget) {
            None => "-".to_owned(),
            Some(Budget::Share(share)) => format!("{} %", percent(*share)),
            Some(Budget::Levels(1)) => "1 level".to_owned(),
            Some(Budget::Levels(levels)) => format!("{levels} levels"),
            Some(Budget::Macs(macs)) => format!("{macs} MACs"),
            Some(Budget::Expected { share, exits }) => format!("{} % expected at {}", percent(*share), slashed(exits)),
            Some(Budget::Own) => "own".to_owned(),
            Some(Budget::ParamShare(share)) => format!("{} % of params", percent(*share)),
        }
    }
}

/// The canonical JSON of jobs that differ in nothing but the seed: written once for all of them, and hashed once up to the seed.
#[derive(Debug, Clone)]
pub struct CellJson {
    /// Everything before the seed.
    head: String,
    hash_of_head: Sha256,
}

impl CellJson {
    /// Of the jobs that differ from `config` in nothing but the seed.
    pub fn new(config: &JobConfig) -> Self {
        let mut head = config.canonical_json();
        let tail = format!("{}}}", config.seed);
        let length = head.strip_suffix(&tail).expect("the seed is the last field").len();
        head.truncate(length);
        let hash_of_head = Sha256::new().chain_update(&head);
        Self { head, hash_of_head }
    }

    /// [`JobConfig::canonical_json`] of the job with this seed.
    pub fn canonical_json(&self, seed: u64) -> String {
        format!("{}{seed}}}", self.head)
    }

    /// [`JobConfig::key`] of the job with this seed.
    pub fn key(&self, seed: u64) -> JobKey {
        JobKey(half_of(self.hash_of_head.clone().chain_update(format!("{seed}}}"))))
    }
}

/// The first half of a SHA-256, as 32 lower-case hexadecimal digits.
pub(crate) fn half_of(hash: Sha256) -> [u8; 32] {
    let digest = hash.finalize();
    let mut digits = [0; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(digest) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    digits
}

/// Whether a field has the value that it has when nothing is said of it. Such fields are not written, so that no key changes when a field
/// is added.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Numbers in full, as labels must tell apart what job keys tell apart.
fn slashed<T: ToString>(numbers: &[T]) -> String {
    numbers.iter().map(T::to_string).collect::<Vec<_>>().join("/")
}

/// A hundred times a share. The decimal point is moved in the text, where 0.07 becomes 7; multiplied, it becomes 7.000000000000001.
fn percent(share: f64) -> f64 {
    let text = format!("{share:e}");
    let (digits, exponent) = text.split_once('e').expect("this format has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a small integer");
    format!("{digits}e{}", exponent + 2).parse().expect("digits and an exponent are a number")
}

/// Why a text is not a job configuration that this build can run.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not the fields of a configuration.
    #[error("not a job configuration")]
    Json(#[from] serde_json::Error),
    /// Written by a build that means something else by these fields.
    #[error("job configuration of version {0}, this build reads version {CONFIG_VERSION}")]
    Version(u32),
}

#[cfg(test)]
mod tests;
