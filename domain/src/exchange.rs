//! What travels from one database to another: finished jobs with all that is known of their results, and sweep files.

use crate::job::{JobConfig, JobKey};
use crate::network::{self, Network};
use crate::outcome::Outcome;

/// A finished job. With its configuration it stands for itself: whoever takes it can check it against the network that it says it is of.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedJob {
    /// The key that the other database has it under.
    pub key: JobKey,
    /// The canonical configuration, JSON.
    pub config_json: String,
    /// Whose worker trained it.
    pub worker: String,
    /// That worker's version.
    pub version: String,
    /// When the result was accepted there, unix microseconds.
    pub finished_us: i64,
    /// The result.
    pub outcome: Outcome,
    /// The epochs of the run that it is of, as far as they are known.
    pub epochs: Vec<Epoch>,
}

/// A finished epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: u32,
    /// Mean training loss, summed over exits; absent where it was not finite.
    pub loss: Option<f64>,
    /// Accuracy of each exit on the calibration split, side exits first, 0 to 1.
    pub exit_accuracy: Vec<f64>,
    /// Training images per second.
    pub images_per_second: f64,
}

/// A sweep as it was submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepFile {
    /// What the sweep came to there: see [`Sweep::key`](crate::sweep::Sweep::key).
    pub key: String,
    /// Its name.
    pub name: String,
    /// The file, verbatim.
    pub text: String,
    /// When it was submitted there, unix microseconds.
    pub created_us: i64,
}

/// Why a finished job is not what it says it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotItself {
    /// Its configuration is none that this build knows.
    #[error("its configuration cannot be understood: {0}")]
    Config(String),
    /// Its configuration is another job's.
    #[error("its configuration has the key {found}")]
    Key {
        /// The configuration's key.
        found: String,
    },
    /// Its configuration names a network that cannot be built.
    #[error("its network cannot be built: {0}")]
    Network(String),
}

impl FinishedJob {
    /// The configuration and its network, where the key is that of the configuration.
    ///
    /// # Errors
    /// When the configuration cannot be understood or is another job's, or its network cannot be built.
    pub fn network(&self) -> Result<(JobConfig, Network), NotItself> {
        let config = JobConfig::from_json(&self.config_json).map_err(|error| NotItself::Config(chain(&error)))?;
        // A text that says the same in other words would get another key from whoever hashes it next.
        if config.canonical_json() != self.config_json || config.key() != self.key {
            return Err(NotItself::Key { found: config.key().as_str().to_owned() });
        }
        let network = network::assemble(&config).map_err(|error| NotItself::Network(error.to_string()))?;
        Ok((config, network))
    }
}

/// An error and what is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// The first field in which two results of one job differ. What depends on the machine and not on the configuration is left out: how long training
/// took, measured speed, and where records lie.
pub fn difference(one: &Outcome, other: &Outcome) -> Option<String> {
    let counts = |outcome: &Outcome| [outcome.n_train, outcome.n_calibration, outcome.n_test];
    if counts(one) != counts(other) {
        return Some("the numbers of images".to_owned());
    }
    if one.exits.len() != other.exits.len() {
        return Some("the number of exits".to_owned());
    }
    if let Some(exit) = one.exits.iter().zip(&other.exits).position(|(one, other)| one != other) {
        return Some(format!("exit {exit}"));
    }
    if one.operating_points.len() != other.operating_points.len() {
        return Some("the number of operating points".to_owned());
    }
    let mut points = one.operating_points.iter().zip(&other.operating_points);
    let differ = points.position(|(one, other)| {
        let bare = |point: &crate::outcome::OperatingPoint| crate::outcome::OperatingPoint {
            latency_us: None,
            images_per_second: None,
            ..point.clone()
        };
        bare(one) != bare(other)
    });
    differ.map(|point| format!("operating point {point}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Artifact, ExitResult, OperatingPoint};

    const CONFIG: &str = r#"{"version":1,"backbone":"resnet8","dataset":"digits","branches":null,"recipe":{"epochs":1,"batch_size":8,"optimizer":{"sgd":{"lr":0.1,"momentum":0.9,"nesterov":true,"weight_decay":0.0}},"schedule":"cosine","augment":"none"},"evaluation":{"calibration":0.1,"policies":["max-softmax"]},"seed":3}"#;

    fn outcome() -> Outcome {
        let exit = ExitResult {
            accuracy: 0.75,
            loss: 0.5,
            calibration_accuracy: 0.5,
            calibration_loss: 0.25,
            top5_accuracy: Some(1.0),
            ece: None,
            calibration_top5_accuracy: None,
            calibration_ece: None,
        };
        let point = OperatingPoint {
            policy: "fixed".into(),
            setting: 0.0,
            macs_cascade: 100.0,
            macs_selected: 100.0,
            accuracy: 0.75,
            calibration_accuracy: 0.5,
            calibration_macs_cascade: 100.0,
            exit_shares: vec![1.0],
            latency_us: Some(5.0),
            images_per_second: Some(7.0),
        };
        Outcome {
            exits: vec![exit],
            operating_points: vec![point],
            n_train: 80,
            n_calibration: 10,
            n_test: 10,
            train_seconds: 1.5,
            trainer: "simulated".into(),
            records: None,
        }
    }

    fn job(config_json: &str) -> FinishedJob {
        let key = JobConfig::from_json(CONFIG).unwrap().key();
        let (worker, version) = ("w".to_owned(), "1.0".to_owned());
        FinishedJob { key, config_json: config_json.to_owned(), worker, version, finished_us: 1, outcome: outcome(), epochs: Vec::new() }
    }

    #[test]
    fn a_job_is_what_its_configuration_says() {
        let (config, network) = job(CONFIG).network().unwrap();
        assert_eq!((config.seed, network.n_exits()), (3, 1));
        let refused = |config: String| job(&config).network().unwrap_err();
        assert!(matches!(refused(CONFIG.replace("\"seed\":3", "\"seed\":4")), NotItself::Key { .. }));
        // The same in other words.
        assert!(matches!(refused(CONFIG.replace("{\"version\"", "{ \"version\"")), NotItself::Key { .. }));
        assert_eq!(
            refused(CONFIG.replace("\"version\":1", "\"version\":9")).to_string(),
            "its configuration cannot be understood: job configuration of version 9, this build reads version 1"
        );
        assert!(matches!(refused("{}".to_owned()), NotItself::Config(_)));
    }

    #[test]
    fn results_differ_in_what_follows_from_the_configuration() {
        let mut other = outcome();
        other.train_seconds = 99.0;
        other.trainer = "other".into();
        other.records = Some(Artifact { path: "/a".into(), bytes: 1, sha256: "0".repeat(64) });
        (other.operating_points[0].latency_us, other.operating_points[0].images_per_second) = (None, Some(1.0));
        assert_eq!(difference(&outcome(), &other), None);
        let found = |spoil: fn(&mut Outcome)| {
            let mut other = outcome();
            spoil(&mut other);
            difference(&outcome(), &other).unwrap()
        };
        assert_eq!(found(|outcome| outcome.n_test = 11), "the numbers of images");
        assert_eq!(found(|outcome| outcome.exits[0].loss = 0.5 + f64::EPSILON), "exit 0");
        assert_eq!(found(|outcome| outcome.exits.push(outcome.exits[0])), "the number of exits");
        assert_eq!(found(|outcome| outcome.operating_points[0].setting = 1.0), "operating point 0");
        assert_eq!(found(|outcome| outcome.operating_points.clear()), "the number of operating points");
    }
}
