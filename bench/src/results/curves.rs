//! Results as early-exit networks have them: curves of accuracy over cost, each a little better or worse than the others.

use std::array;

use anyhow::ensure;
use offramp_domain::job::JobConfig;
use offramp_domain::network;
use offramp_proto::v1;

use crate::work::TRAINER;

/// Operating points of a result.
pub(super) const N_POINTS: usize = 100;
/// Of each of these as many.
const POLICIES: [&str; 4] = ["max-softmax", "entropy", "margin", "budgeted"];
/// Images that accuracies are shares of.
const N_TEST: u32 = 10_000;
/// By how much a result that is ahead of all is more accurate than the mean: more than chance makes of any.
const AHEAD: f64 = 0.06;
/// By how much the next one that is ahead is more accurate than the last: one image.
const STEP: f64 = 1.0 / N_TEST as f64;
/// Less accurate than every point of another kind of result.
const BEHIND: f64 = 0.3;

/// The sweep's file: one cell, of as many seeds, so that every frontier has all points. A network of four exits, of which each costs
/// more than those before it, whatever is counted.
pub(super) fn sweep_text(n_jobs: u64) -> String {
    format!(
        r#"
name = "results"
[axes]
backbone = "resnet20"
dataset = "cifar10"
exits = {{ at = [0.25, 0.5, 0.75] }}
budget = {{ levels = 6 }}
pattern = "constant"
seed = {{ from = 1, to = {n_jobs} }}
[recipe]
base = "cosine-30"
[evaluation]
policies = ["max-softmax", "entropy", "margin", "budgeted"]
"#
    )
}

/// How a result compares with the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As chance has it.
    Usual,
    /// Every point is dominated by the cheapest one of any usual result.
    Behind,
    /// The points dominate whatever there was, earlier ones of this kind too.
    Ahead,
}

/// A network's results.
#[derive(Debug)]
pub(super) struct Curves {
    /// Cascade and selected MACs of an answer from each exit.
    costs: Vec<[f64; 2]>,
    random: fastrand::Rng,
    n_ahead: u32,
}

/// A point of a curve.
#[derive(Debug, Clone)]
struct Place {
    setting: f64,
    exit_shares: Vec<f64>,
    costs: [f64; 2],
    accuracy: f64,
}

impl Curves {
    /// For jobs of such a configuration.
    pub(super) fn of(config_json: &str, seed: u64) -> anyhow::Result<Self> {
        let config = JobConfig::from_json(config_json).map_err(|error| anyhow::anyhow!("a job's configuration cannot be read: {error}"))?;
        let network = network::assemble(&config).map_err(|error| anyhow::anyhow!("a job's network cannot be put together: {error}"))?;
        let costs: Vec<[f64; 2]> = network.exit_costs().iter().map(|cost| [cost.macs_cascade as f64, cost.macs_selected as f64]).collect();
        ensure!(costs.len() > 1, "the network has no side exit");
        Ok(Self { costs, random: fastrand::Rng::with_seed(seed), n_ahead: 0 })
    }

    fn place(&self, setting: f64, accuracy: f64) -> Place {
        let exit_shares = shares(self.costs.len(), setting);
        let cost = |metric: usize| self.costs.iter().zip(&exit_shares).map(|(cost, share)| cost[metric] * share).sum();
        let accuracy = (accuracy * f64::from(N_TEST)).round() / f64::from(N_TEST);
        Place { setting, costs: array::from_fn(cost), exit_shares, accuracy: accuracy.clamp(0.0, 1.0) }
    }

    /// The points of the next result, in no order that says anything of their costs.
    fn places(&mut self, kind: Kind) -> Vec<Place> {
        let quality = 0.02 * (self.random.f64() + self.random.f64() + self.random.f64() - 1.5);
        if kind == Kind::Ahead {
            self.n_ahead += 1;
        }
        (0..N_POINTS)
            .map(|index| {
                let index = index % (N_POINTS / POLICIES.len()) * POLICIES.len() + index / (N_POINTS / POLICIES.len());
                let (scattered, noise) = (self.random.f64(), 0.004 * (self.random.f64() - 0.5));
                let setting = |offset: f64| (index as f64 + offset) / N_POINTS as f64;
                match kind {
                    // All have their cheapest point in common.
                    Kind::Usual => {
                        let setting = if index == 0 { 0.0 } else { setting(scattered) };
                        self.place(setting, mean(setting) + quality + noise)
                    }
                    Kind::Behind => self.place(setting(0.5), BEHIND),
                    Kind::Ahead => self.place(setting(0.0), mean(setting(0.0)) + AHEAD + STEP * f64::from(self.n_ahead)),
                }
            })
            .collect()
    }

    /// Cost and accuracy of the points of the next result.
    pub(super) fn points(&mut self) -> impl Iterator<Item = [f64; 2]> {
        self.places(Kind::Usual).into_iter().map(|place| [place.costs[0], place.accuracy])
    }

    /// The next result, as a worker reports it.
    pub(super) fn outcome(&mut self, kind: Kind) -> v1::Outcome {
        let point = |(index, place): (usize, Place)| v1::OperatingPoint {
            policy: POLICIES[index / (N_POINTS / POLICIES.len())].to_owned(),
            setting: place.setting,
            macs_cascade: place.costs[0],
            macs_selected: place.costs[1],
            accuracy: place.accuracy,
            calibration_accuracy: place.accuracy,
            calibration_macs_cascade: place.costs[0],
            exit_shares: place.exit_shares,
            latency_us: None,
            images_per_second: None,
        };
        let exit = |index: usize| {
            let accuracy = mean(index as f64 / (self.costs.len() - 1) as f64);
            v1::ExitResult {
                accuracy,
                loss: 0.5,
                calibration_accuracy: accuracy,
                calibration_loss: 0.5,
                top5_accuracy: Some(accuracy),
                ece: Some(0.05),
                calibration_top5_accuracy: Some(accuracy),
                calibration_ece: Some(0.05),
            }
        };
        v1::Outcome {
            exits: (0..self.costs.len()).map(exit).collect(),
            operating_points: self.places(kind).into_iter().enumerate().map(point).collect(),
            n_train: 45_000,
            n_calibration: 5_000,
            n_test: N_TEST,
            train_seconds: 900.0,
            trainer: TRAINER.to_owned(),
            records: None,
        }
    }
}

/// What is reached on the way from the first exit alone (0) to the last alone (1): more and more slowly from 55 % to 90 %.
fn mean(setting: f64) -> f64 {
    0.55 + 0.35 * (-4.0 * setting).exp_m1() / (-4.0_f64).exp_m1()
}

/// Shares of samples that leave at each exit: the binomial distribution, so that more and more go further and further.
fn shares(n_exits: usize, setting: f64) -> Vec<f64> {
    let mut shares = vec![1.0];
    for _ in 1..n_exits {
        let mut next = vec![0.0; shares.len() + 1];
        for (index, share) in shares.iter().enumerate() {
            next[index] += share * (1.0 - setting);
            next[index + 1] += share * setting;
        }
        shares = next;
    }
    shares
}

#[cfg(test)]
mod tests {
    use offramp_domain::frontier::{Point, non_dominated};

    use super::*;

    fn curves() -> Curves {
        let sweep = offramp_domain::sweep::parse(&sweep_text(3)).unwrap();
        assert_eq!(sweep.n_jobs(), 3);
        let run = sweep.runs().next().unwrap();
        Curves::of(&run.json.canonical_json(1), 7).unwrap()
    }

    fn points(places: &[Place], metric: usize) -> Vec<Point> {
        places.iter().map(|place| Point { cost: place.costs[metric], accuracy: place.accuracy }).collect()
    }

    #[test]
    fn shares_are_shares() {
        assert_eq!(shares(3, 0.25), [0.5625, 0.375, 0.0625]);
        assert_eq!(shares(4, 0.0), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(shares(4, 1.0), [0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn a_result_is_behind_or_ahead_of_all_others_under_every_cost() {
        let mut curves = curves();
        let mut usual: Vec<Place> = (0..200).flat_map(|_| curves.places(Kind::Usual)).collect();
        assert!(usual.iter().all(|place| (0.5..0.95).contains(&place.accuracy)));
        for metric in 0..2 {
            let others = points(&usual, metric);
            let n_standing = non_dominated(&others).len();
            assert!((10..1_000).contains(&n_standing), "{n_standing} points on the frontier");
            let cheapest = others[0];
            assert!(points(&curves.places(Kind::Behind), metric).iter().all(|point| cheapest.dominates(*point)));
        }
        for _ in 0..3 {
            let ahead = curves.places(Kind::Ahead);
            assert_eq!(ahead.len(), N_POINTS);
            for metric in 0..2 {
                let (others, points) = (points(&usual, metric), points(&ahead, metric));
                assert!(others.iter().all(|other| points.iter().any(|point| point.dominates(*other))));
                assert_eq!(non_dominated(&points).len(), N_POINTS);
            }
            usual.extend(ahead);
        }
    }
}
