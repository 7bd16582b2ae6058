//! What the exits of a network that was never trained say of samples that do not exist.
//!
//! Every sample has a difficulty and every exit a skill, both in [0, 1]; an exit is right where its skill exceeds the difficulty, so its
//! accuracy is its skill, deeper exits are right where shallower ones are (mostly), and confidence tells easy samples from hard ones: what
//! early exit lives on. Skill depends on the backbone's and the branch's cost, not on the branching pattern as such.

use offramp_domain::evaluation::{ExitRecords, SplitRecords};
use offramp_domain::job::JobConfig;
use offramp_domain::network::{ExitCost, Network};

use crate::chance;

/// Which samples are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    Calibration,
    Test,
}

/// A network in training, as far as records need it.
#[derive(Debug)]
pub(super) struct Subject {
    /// Stands for the whole configuration, the seed included.
    key: u64,
    /// Stands for the dataset: its samples are the same for every job.
    dataset: u64,
    n_classes: u32,
    pub(super) n_epochs: u32,
    /// Accuracy that each exit tends to, side exits first.
    ceilings: Vec<f64>,
}

/// Share of the samples whose difficulty for one exit has nothing to do with that for the others.
const INDEPENDENT: f64 = 0.1;

/// Skill gained after a share `t` of the epochs is `1 - exp(-t * LEARNING)`: 99 % at the end.
const LEARNING: f64 = 4.6;

/// An exit with this share of the backbone's MACs behind it reaches half of what one without limit would.
const HALF_REACH: f64 = 0.15;

/// What a MAC of a branch does for its exit, compared with one of the backbone.
const BRANCH_WORTH: f64 = 0.3;

/// Steepness of confidence over the margin between skill and difficulty, and the width of the noise on that margin.
const STEEPNESS: f64 = 6.0;
const MARGIN_NOISE: f64 = 0.3;

/// How far seeds scatter the accuracy of an exit, both ways.
const SEED_SCATTER: f64 = 0.01;

impl Subject {
    pub(super) fn new(config: &JobConfig, network: &Network) -> Self {
        let key = chance::text(config.key().as_str());
        let n_classes = network.n_classes as u32;
        let backbone_macs = network.backbone_macs() as f64;
        let best = best_accuracy(n_classes, backbone_macs);
        let ceiling = |(exit, cost): (usize, &ExitCost)| {
            let macs = cost.backbone_macs as f64 + BRANCH_WORTH * cost.branch_macs as f64;
            let depth = (macs / backbone_macs).min(1.0);
            let reach = depth / (depth + HALF_REACH) * (1.0 + HALF_REACH);
            let scatter = (2.0 * chance::unit(&[key, SCATTER, exit as u64]) - 1.0) * SEED_SCATTER;
            (best * reach + scatter).clamp(1.0 / f64::from(n_classes), 1.0)
        };
        let ceilings = network.exit_costs().iter().enumerate().map(ceiling).collect();
        Self { key, dataset: chance::text(&config.dataset), n_classes, n_epochs: config.n_epochs(), ceilings }
    }

    #[cfg(test)]
    pub(super) fn set_ceilings(&mut self, ceilings: Vec<f64>) {
        self.ceilings = ceilings;
    }

    /// What the exits say of the first `n` samples of a split after `epoch` epochs.
    pub(super) fn records(&self, split: Split, n: u32, epoch: u32) -> SplitRecords {
        let progress = f64::from(epoch) / f64::from(self.n_epochs.max(1));
        let learnt = 1.0 - (-LEARNING * progress).exp();
        let guess = 1.0 / f64::from(self.n_classes);
        let skills = self.ceilings.iter().map(|ceiling| guess + (ceiling - guess) * learnt);
        let labels: Vec<u32> = (0..n).map(|sample| self.class(&[self.dataset, LABEL, split as u64, sample.into()])).collect();
        let mut exits: Vec<ExitRecords> =
            skills.enumerate().map(|(exit, skill)| self.exit_records(split, exit as u64, skill, &labels)).collect();
        hear_together(&mut exits, self.n_classes);
        SplitRecords { indices: (0..n).collect(), labels, exits }
    }

    fn exit_records(&self, split: Split, exit: u64, skill: f64, labels: &[u32]) -> ExitRecords {
        let mut records = ExitRecords::default();
        let others = f64::from(self.n_classes - 1);
        for (sample, label) in labels.iter().enumerate() {
            let draw = |what| chance::unit(&[self.key, what, split as u64, exit, sample as u64]);
            let shared = chance::unit(&[self.dataset, DIFFICULTY, split as u64, sample as u64]);
            let difficulty = if draw(INDEPENDENCE) < INDEPENDENT { draw(DIFFICULTY) } else { shared };
            let margin = skill - difficulty;
            let noisy = margin + (draw(NOISE) - 0.5) * MARGIN_NOISE;
            let confidence = 1.0 / f64::from(self.n_classes) + others / f64::from(self.n_classes) / (1.0 + (-STEEPNESS * noisy).exp());
            // What it does not believe of its answer it believes evenly of the other classes.
            let rest = 1.0 - confidence;
            let entropy = -confidence * confidence.ln() - if rest > 0.0 { rest * (rest / others).ln() } else { 0.0 };
            records.entropy.push(entropy as f32);
            records.margin.push((confidence - rest / others) as f32);
            let right = margin > 0.0;
            // A wrong answer is one of the other classes.
            let wrong_by = 1 + (draw(WRONG) * others) as u32;
            records.prediction.push(if right { *label } else { (label + wrong_by) % self.n_classes });
            records.confidence.push(confidence as f32);
            records.label_rank.push(if right { 0 } else { 1 + (draw(RANK) * others) as u32 });
            records.loss.push(if right { -confidence.ln() } else { -((1.0 - confidence) / others).ln() } as f32);
        }
        records
    }

    fn class(&self, parts: &[u64]) -> u32 {
        (chance::unit(parts) * f64::from(self.n_classes)) as u32
    }
}

/// Fills in what the mean of the exits so far says, each of which believes evenly of all classes but its answer.
fn hear_together(exits: &mut [ExitRecords], n_classes: u32) {
    let others = f64::from(n_classes - 1);
    let n_samples = exits.first().map_or(0, |exit| exit.prediction.len());
    for sample in 0..n_samples {
        for n_heard in 1..=exits.len() {
            // Only a class that some exit answers with can be the most probable one.
            let belief = |class: u32| -> f64 {
                let of_exit = |exit: &ExitRecords| {
                    let confidence = f64::from(exit.confidence[sample]);
                    if exit.prediction[sample] == class { confidence } else { (1.0 - confidence) / others }
                };
                exits[..n_heard].iter().map(of_exit).sum::<f64>() / n_heard as f64
            };
            let mut classes: Vec<u32> = exits[..n_heard].iter().map(|exit| exit.prediction[sample]).collect();
            classes.sort_unstable();
            let first = (classes[0], belief(classes[0]));
            let (class, believed) = classes[1..]
                .iter()
                .map(|&class| (class, belief(class)))
                .fold(first, |best, next| if next.1 > best.1 { next } else { best });
            exits[n_heard - 1].ensemble_prediction.push(class);
            exits[n_heard - 1].ensemble_confidence.push(believed as f32);
        }
    }
}

/// Accuracy that a backbone of this cost tends to: less with more classes, a little more for every tenfold of cost.
fn best_accuracy(n_classes: u32, backbone_macs: f64) -> f64 {
    let with_classes = 0.97 - 0.003 * (f64::from(n_classes) - 10.0);
    (with_classes + 0.01 * (backbone_macs.max(1.0).log10() - 6.0)).clamp(0.05, 0.995)
}

// What numbers are drawn for.
const LABEL: u64 = chance::text("label");
const DIFFICULTY: u64 = chance::text("difficulty");
const INDEPENDENCE: u64 = chance::text("independence");
const NOISE: u64 = chance::text("noise");
const WRONG: u64 = chance::text("wrong");
const RANK: u64 = chance::text("rank");
const SCATTER: u64 = chance::text("scatter");
