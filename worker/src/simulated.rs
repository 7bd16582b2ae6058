//! A trainer that trains nothing: deterministic learning curves and results of the real shape, at a chosen speed, with faults on request.
//!
//! For trying out a fleet, for load tests, and for working on everything but training. Results depend on the configuration alone; faults
//! on (job key, attempt), so that the next attempt at a job may get through.

mod options;
mod records;

use std::time::{Duration, Instant};

use offramp_domain::evaluation::{self, Records, SplitRecords};
use offramp_domain::job::JobConfig;
use offramp_domain::network::{self, Network};
use offramp_domain::outcome::{FailureKind, Outcome, Progress};

use crate::chance;
use crate::clock;
use crate::trainer::{Attempt, Observer, TrainFailure, Trainer};
pub use options::{Options, OptionsError};
use records::{Split, Subject};

/// Images that a simulated dataset has, whatever its name: enough for smooth curves, little enough for thousands of jobs a minute.
const N_TRAIN: u32 = 4_000;
const N_CALIBRATION: u32 = 500;
const N_TEST: u32 = 1_000;

/// How often a waiting run looks whether it has been stopped.
const POLL: Duration = Duration::from_millis(20);

/// How much longer than asked for the epochs of a slow attempt take.
const SLOW_FACTOR: u32 = 10;

/// The simulated trainer.
#[derive(Debug, Clone)]
pub struct Simulated {
    options: Options,
}

impl Simulated {
    /// A trainer with this speed and these faults.
    pub fn new(options: Options) -> Self {
        Self { options }
    }
}

impl Trainer for Simulated {
    fn name(&self) -> String {
        "simulated".into()
    }

    fn run(&mut self, config: &JobConfig, attempt: &Attempt, observer: &mut dyn Observer) -> Result<Outcome, TrainFailure> {
        let network = network::assemble(config).map_err(|error| failed(FailureKind::Failed, crate::trainer::with_sources(&error)))?;
        let n_epochs = config.n_epochs();
        let slow = if happens(self.options.slow, "slow", attempt) { SLOW_FACTOR } else { 1 };
        let epoch_time = self.options.epoch_time * slow;
        let fault = self.options.fault(attempt, n_epochs);
        let subject = Subject::new(config, &network);
        for epoch in 1..=n_epochs {
            wait(epoch_time, observer)?;
            if let Some((fault, _)) = fault.filter(|(_, at_epoch)| *at_epoch == epoch) {
                fault.strike(epoch)?;
            }
            observer.progress(progress(&subject, epoch, epoch_time));
        }
        if observer.stopped() {
            return Err(TrainFailure::Stopped);
        }
        let records = Records {
            calibration: subject.records(Split::Calibration, N_CALIBRATION, n_epochs),
            test: subject.records(Split::Test, N_TEST, n_epochs),
        };
        observer.records(&records);
        Ok(outcome(config, &network, &records, epoch_time * n_epochs))
    }
}

fn progress(subject: &Subject, epoch: u32, epoch_time: Duration) -> Progress {
    let records = subject.records(Split::Calibration, N_CALIBRATION, epoch);
    Progress {
        epoch,
        n_epochs: subject.n_epochs,
        loss: records.exits.iter().map(|exit| mean(&exit.loss)).sum(),
        exit_accuracy: exit_accuracy(&records),
        // An epoch of no time at all is as fast as the clock can tell.
        images_per_second: f64::from(N_TRAIN) / epoch_time.max(Duration::from_millis(1)).as_secs_f64(),
    }
}

fn exit_accuracy(records: &SplitRecords) -> Vec<f64> {
    let n_right = |prediction: &[u32]| prediction.iter().zip(&records.labels).filter(|(said, label)| said == label).count();
    records.exits.iter().map(|exit| n_right(&exit.prediction) as f64 / records.labels.len() as f64).collect()
}

fn mean(values: &[f32]) -> f64 {
    values.iter().copied().map(f64::from).sum::<f64>() / values.len() as f64
}

fn outcome(config: &JobConfig, network: &Network, records: &Records, train_time: Duration) -> Outcome {
    let evaluated = evaluation::evaluate(network, &config.evaluation, &records.calibration, &records.test);
    Outcome {
        exits: evaluated.exits,
        operating_points: evaluated.operating_points,
        n_train: N_TRAIN,
        n_calibration: N_CALIBRATION,
        n_test: N_TEST,
        // What was asked for, not what the clock says: equal configurations give equal results.
        train_seconds: train_time.as_secs_f64(),
        trainer: "simulated".into(),
        records: None,
    }
}

/// Sleeps, but wakes up to be stopped.
fn wait(time: Duration, observer: &dyn Observer) -> Result<(), TrainFailure> {
    let until: Instant = clock::now() + time;
    loop {
        if observer.stopped() {
            return Err(TrainFailure::Stopped);
        }
        let left = until.saturating_duration_since(clock::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(POLL));
    }
}

fn failed(kind: FailureKind, message: String) -> TrainFailure {
    TrainFailure::Failed { kind, message }
}

/// Whether something of this probability happens to an attempt.
fn happens(probability: f64, what: &str, attempt: &Attempt) -> bool {
    chance::unit(&[chance::text(attempt.job.as_str()), u64::from(attempt.number), chance::text(what)]) < probability
}

/// What can go wrong in mid-run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Crash,
    Hang,
    Nan,
    Error,
    OutOfMemory,
}

impl Fault {
    fn strike(self, epoch: u32) -> Result<(), TrainFailure> {
        match self {
            Self::Crash => {
                tracing::error!(epoch, "simulated crash");
                std::process::abort()
            }
            Self::Hang => loop {
                std::thread::park();
            },
            Self::Nan => Err(failed(FailureKind::Diverged, format!("the loss became NaN in epoch {epoch}"))),
            Self::Error => Err(failed(FailureKind::Failed, format!("simulated error in epoch {epoch}"))),
            Self::OutOfMemory => Err(failed(FailureKind::OutOfMemory, format!("simulated lack of memory in epoch {epoch}"))),
        }
    }
}

impl Options {
    /// The fault that strikes an attempt, and the epoch in which it does. Where several would, the first in the order of [`Fault`].
    fn fault(&self, attempt: &Attempt, n_epochs: u32) -> Option<(Fault, u32)> {
        let candidates = [
            (Fault::Crash, self.crash, "crash"),
            (Fault::Hang, self.hang, "hang"),
            (Fault::Nan, self.nan, "nan"),
            (Fault::Error, self.error, "error"),
            (Fault::OutOfMemory, self.oom, "oom"),
        ];
        let (fault, ..) = candidates.into_iter().find(|(_, probability, name)| happens(*probability, name, attempt))?;
        let share = chance::unit(&[chance::text(attempt.job.as_str()), u64::from(attempt.number), chance::text("epoch")]);
        Some((fault, 1 + (share * f64::from(n_epochs)) as u32))
    }
}

#[cfg(test)]
mod tests;
