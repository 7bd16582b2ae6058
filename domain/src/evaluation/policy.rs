//! Exit policies: when a sample leaves, and which settings of a policy are worth a look.

use super::quota;
use super::records::{Said, SplitRecords};
use crate::job::Policy;

/// Settings of a threshold policy tried on the calibration split: enough for a curve without visible steps, few enough to read as a table.
pub(super) const MAX_THRESHOLDS: usize = 64;

/// How sure an exit is. A score becomes a certainty, which is the greater the surer the exit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Score {
    /// The greatest softmax probability.
    MaxSoftmax,
    /// The entropy of the softmax, nats: less is surer.
    Entropy,
    /// The greatest softmax probability less the second greatest.
    Margin,
    /// The greatest probability of the mean of the softmaxes so far.
    Ensemble,
}

impl Score {
    /// What an exit's words say by this score; the greater, the surer.
    pub fn certainty(self, said: &Said) -> f64 {
        self.turned(f64::from(match self {
            Self::MaxSoftmax => said.confidence,
            Self::Entropy => said.entropy,
            Self::Margin => said.margin,
            Self::Ensemble => said.ensemble_confidence,
        }))
    }

    /// From a score to a certainty, and back. A zero has no sign.
    pub(super) fn turned(self, score: f64) -> f64 {
        match self {
            Self::Entropy => 0.0 - score,
            Self::MaxSoftmax | Self::Margin | Self::Ensemble => score,
        }
    }

    /// The scores of a split at one exit.
    pub(super) fn of_exit(self, split: &SplitRecords, exit: usize) -> &[f32] {
        let exit = &split.exits[exit];
        match self {
            Self::MaxSoftmax => &exit.confidence,
            Self::Entropy => &exit.entropy,
            Self::Margin => &exit.margin,
            Self::Ensemble => &exit.ensemble_confidence,
        }
    }
}

/// A policy with its setting: says of every exit whether a sample leaves there. Whatever leaves nowhere else leaves at the final exit.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// At one exit, by its index.
    Fixed(usize),
    /// At the first exit whose certainty reaches its threshold.
    Threshold {
        /// What is compared.
        score: Score,
        /// Certainties, one a side exit; infinity where nothing leaves.
        thresholds: Vec<f64>,
    },
    /// At the first exit that the given number of exits right before it agree with.
    Patience(u32),
}

impl Rule {
    /// Whether a sample leaves at an exit.
    pub fn leaves(&self, exit: usize, said: &Said) -> bool {
        match self {
            Self::Fixed(fixed) => exit == *fixed,
            Self::Threshold { score, thresholds } => thresholds.get(exit).is_none_or(|&threshold| score.certainty(said) >= threshold),
            Self::Patience(patience) => said.n_agreeing >= *patience,
        }
    }

    /// The class that is answered with at the exit where a sample leaves.
    pub fn answer(&self, said: &Said) -> u32 {
        if self.answers_together() { said.ensemble_prediction } else { said.prediction }
    }

    /// Whether all exits on the way answer together, not the last one alone.
    pub fn answers_together(&self) -> bool {
        matches!(self, Self::Threshold { score: Score::Ensemble, .. })
    }

    /// The exit at which each sample of a split leaves, and the class that is answered with.
    pub fn play(&self, split: &SplitRecords) -> Vec<(usize, u32)> {
        let last = split.exits.len() - 1;
        let leave = |sample| {
            let mut exits = split.said(sample).enumerate();
            let (exit, said) = exits.find(|(exit, said)| *exit == last || self.leaves(*exit, said)).expect("a network has a final exit");
            (exit, self.answer(&said))
        };
        (0..split.len()).map(leave).collect()
    }
}

/// Why a policy cannot be evaluated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RuleError {
    /// No policy has this name.
    #[error("no policy is called `{}`", .0.escape_debug())]
    Unknown(String),
    /// A setting that the policy cannot have.
    #[error("policy `{policy}` has no setting {setting}: it takes {wanted}")]
    Setting {
        /// The policy.
        policy: String,
        /// The setting.
        setting: f64,
        /// What settings it has.
        wanted: String,
    },
}

/// The rule of an operating point: of a policy, or of `fixed`, by its name and setting.
///
/// # Errors
/// When there is no such policy, or it has no such setting.
pub fn rule(policy: &str, setting: f64, calibration: &SplitRecords) -> Result<Rule, RuleError> {
    if policy != FIXED {
        let policy = Policy::parse(policy).ok_or_else(|| RuleError::Unknown(policy.to_owned()))?;
        return rule_of(policy, setting, calibration);
    }
    let n_exits = calibration.exits.len();
    match whole(setting).filter(|exit| (*exit as usize) < n_exits) {
        Some(exit) => Ok(Rule::Fixed(exit as usize)),
        None => Err(RuleError::Setting { policy: policy.to_owned(), setting, wanted: format!("an exit from 0 to {}", n_exits - 1) }),
    }
}

/// The policy that is always evaluated: every sample leaves at one exit.
pub const FIXED: &str = "fixed";

/// The rule of a policy with a setting.
///
/// # Errors
/// When the policy has no such setting.
pub fn rule_of(policy: Policy, setting: f64, calibration: &SplitRecords) -> Result<Rule, RuleError> {
    let refused = |wanted: &str| RuleError::Setting { policy: policy.as_str().to_owned(), setting, wanted: wanted.to_owned() };
    match kind(policy) {
        Kind::Threshold(score) if setting.is_finite() => {
            let n_side_exits = calibration.exits.len() - 1;
            Ok(Rule::Threshold { score, thresholds: vec![score.turned(setting); n_side_exits] })
        }
        Kind::Threshold(_) => Err(refused("a finite number")),
        Kind::Patience => whole(setting).map(Rule::Patience).ok_or_else(|| refused("a whole number from 0 on")),
        Kind::Quota if setting.is_finite() && setting > 0.0 => {
            let quotas = quota::quotas(setting, calibration.exits.len());
            Ok(Rule::Threshold { score: Score::MaxSoftmax, thresholds: quota::thresholds(calibration, Score::MaxSoftmax, &quotas) })
        }
        Kind::Quota => Err(refused("a finite number above 0")),
    }
}

/// How a policy decides.
enum Kind {
    /// By one threshold for all side exits: the setting.
    Threshold(Score),
    /// By exits that agree: the setting is how many before the one at which a sample leaves.
    Patience,
    /// By quotas of samples that leave at each exit: the setting is the ratio of one exit's to the one's before.
    Quota,
}

fn kind(policy: Policy) -> Kind {
    match policy {
        Policy::MaxSoftmax => Kind::Threshold(Score::MaxSoftmax),
        Policy::Entropy => Kind::Threshold(Score::Entropy),
        Policy::Margin => Kind::Threshold(Score::Margin),
        Policy::Ensemble => Kind::Threshold(Score::Ensemble),
        Policy::Patience => Kind::Patience,
        Policy::Budgeted => Kind::Quota,
    }
}

/// The settings of a policy that are tried, the more cautious ones later: with a later one no sample leaves earlier (of quotas, no more of
/// them up to any exit). None where there is no side exit to leave at.
pub(super) fn candidates(policy: Policy, calibration: &SplitRecords) -> Vec<f64> {
    match kind(policy) {
        Kind::Threshold(_) => thinned(&all_candidates(policy, calibration)),
        Kind::Patience | Kind::Quota => all_candidates(policy, calibration),
    }
}

/// The same, of a threshold policy every setting that makes a difference: its distinct scores at side exits.
pub(super) fn all_candidates(policy: Policy, calibration: &SplitRecords) -> Vec<f64> {
    let n_side_exits = calibration.exits.len() - 1;
    if n_side_exits == 0 {
        return Vec::new();
    }
    match kind(policy) {
        Kind::Threshold(score) => {
            let scores = (0..n_side_exits).flat_map(|exit| score.of_exit(calibration, exit)).copied().filter(|score| !score.is_nan());
            let mut distinct: Vec<f64> = scores.map(|score_of_sample| score.turned(f64::from(score_of_sample))).collect();
            distinct.sort_by(f64::total_cmp);
            distinct.dedup();
            distinct.into_iter().map(|certainty| score.turned(certainty)).collect()
        }
        // With as many exits to agree as there are side exits, only the final one could be left at.
        Kind::Patience => (0..n_side_exits).map(|patience| patience as f64).collect(),
        Kind::Quota => quota::ratios().collect(),
    }
}

/// Where there are more than [`MAX_THRESHOLDS`], evenly spaced ranks with the first and the last.
fn thinned(settings: &[f64]) -> Vec<f64> {
    let n = settings.len();
    if n <= MAX_THRESHOLDS {
        return settings.to_vec();
    }
    (0..MAX_THRESHOLDS).map(|i| settings[i * (n - 1) / (MAX_THRESHOLDS - 1)]).collect()
}

/// A setting that is a whole number from 0 on.
fn whole(setting: f64) -> Option<u32> {
    let is_whole = setting.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&setting);
    is_whole.then_some(setting as u32)
}
