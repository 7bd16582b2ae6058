//! From initial weights to trained ones: phases, epochs, steps.

use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};
use offramp_domain::evaluation::SplitRecords;
use offramp_domain::job::JobConfig;
use offramp_domain::network::Network;
use offramp_domain::outcome::Progress;

use crate::batches;
use crate::checkpoint::{Checkpoints, LoadError, State, Store, with_sources};
use crate::learner::Learner;
use crate::material::Material;
use crate::network::{MultiExit, Weights};
use crate::optimizer;
use crate::regime::{self, Phase};
use crate::run::{Observer, TrainError, now};
use crate::schedule::{Step, learning_rate};

/// Steps between two looks at the loss. Reading it waits for the device, so not every step; a loss that became NaN stays NaN, so none is
/// missed.
pub(crate) const STEPS_BETWEEN_READS: usize = 16;

/// What is trained, on what.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The network.
    pub network: &'a Network,
    /// How, above all.
    pub config: &'a JobConfig,
    /// The images.
    pub material: &'a Material<'a>,
    /// Where, without gradients.
    pub device: &'a Device,
    /// What the backbone starts from; absent where it starts fresh.
    pub pretrained: Option<&'a Weights>,
}

/// A trained network.
pub struct Trained {
    /// For evaluation.
    pub model: MultiExit,
    /// Seconds that it took, over all attempts that it goes back to.
    pub seconds: f64,
}

/// Where a run keeps its checkpoints.
pub struct Saving {
    store: Store,
    every: Duration,
    last: Instant,
}

impl Saving {
    /// Keeps those of a job that `trainer` trains; the first is due as long after now as the next ones after it.
    pub fn new(checkpoints: &Checkpoints, config: &JobConfig, trainer: &str) -> Self {
        Self { store: checkpoints.of(config, trainer), every: checkpoints.every, last: now() }
    }

    /// Writes a checkpoint where one is due. A disk that does not take it is no reason to give up training.
    fn save(&mut self, learner: &Learner, state: &State) {
        if self.last.elapsed() < self.every {
            return;
        }
        let parts = learner.record().map_err(Into::into);
        if let Err(error) = parts.and_then(|parts| self.store.save(state, &parts)) {
            tracing::warn!(reason = with_sources(&error), "no checkpoint is written");
        }
        self.last = now();
    }

    /// Removes everything: the job is done, or must begin anew.
    pub fn forget(&self) {
        self.store.forget();
    }
}

/// Trains a network, from a checkpoint where there is one, and gives it back ready for evaluation.
///
/// # Errors
/// When the device fails, the loss diverges, or the observer stops the run.
pub fn train(job: Job, mut saving: Option<&mut Saving>, observer: &mut dyn Observer) -> Result<Trained, TrainError> {
    let phases = regime::phases(job.config, !job.network.branches.is_empty());
    let last = phases.len() - 1;
    let n_epochs = phases[last].first_epoch + phases[last].n_epochs;
    let resumed = saving.as_ref().and_then(|saving| resume(job, &phases, &saving.store));
    let (mut learner, mut state) = match resumed {
        Some(resumed) => resumed,
        None => begin(job, &phases)?,
    };

    for epoch in state.n_epochs..n_epochs {
        let started = now();
        learner = enter(learner, job, &phases, &mut state, regime::phase_of(&phases, epoch));
        let trained;
        (learner, trained) = train_epoch(learner, job, phases[state.phase], epoch, observer)?;
        let trained_for = started.elapsed().max(Duration::from_nanos(1));

        let calibration = job.material.record_calibration(&learner.evaluated(), job.device, observer)?;
        state.exit_accuracy = exit_accuracy(&calibration);
        learner.take_accuracies(&state.exit_accuracy);
        state.n_epochs = epoch + 1;
        state.n_averaged = learner.n_averaged();
        state.train_seconds += started.elapsed().as_secs_f64();
        if let Some(saving) = &mut saving {
            saving.save(&learner, &state);
        }
        observer.progress(Progress {
            epoch: epoch + 1,
            n_epochs,
            loss: trained.loss,
            exit_accuracy: state.exit_accuracy.clone(),
            images_per_second: trained.n_images as f64 / trained_for.as_secs_f64(),
        });
    }
    let learner = enter(learner, job, &phases, &mut state, last);
    Ok(Trained { model: learner.evaluated(), seconds: state.train_seconds })
}

/// A learner before its first step.
fn begin<'a>(job: Job<'a>, phases: &[Phase]) -> Result<(Learner<'a>, State), TrainError> {
    let learner = Learner::start(job.network, job.config, phases[0], &job.device.clone().autodiff(), job.pretrained)?;
    Ok((learner, State { n_epochs: 0, phase: 0, train_seconds: 0.0, n_averaged: 0, exit_accuracy: Vec::new() }))
}

/// A learner where the newest usable checkpoint has it.
fn resume<'a>(job: Job<'a>, phases: &[Phase], store: &Store) -> Option<(Learner<'a>, State)> {
    store.newest(|state, parts| {
        let phase = phases.get(state.phase).copied().ok_or(LoadError::NoPhase(state.phase))?;
        // Without the weights that the first attempt started from: all of them are in the record.
        let learner = Learner::fresh(job.network, job.config, phase, &job.device.clone().autodiff());
        let mut learner = learner.resume(parts, state.n_averaged)?;
        learner.take_accuracies(&state.exit_accuracy);
        Ok((learner, state))
    })
}

/// Brings a learner to a phase, which is the one it is in or a later one.
fn enter<'a>(learner: Learner<'a>, job: Job<'a>, phases: &[Phase], state: &mut State, phase: usize) -> Learner<'a> {
    if phase == state.phase {
        return learner;
    }
    state.phase = phase;
    learner.go_on(job.network, phases[phase])
}

/// What an epoch came to.
struct TrainedEpoch {
    loss: f64,
    n_images: usize,
}

fn train_epoch<'a>(
    mut learner: Learner<'a>,
    job: Job<'a>,
    phase: Phase,
    epoch: u32,
    observer: &dyn Observer,
) -> Result<(Learner<'a>, TrainedEpoch), TrainError> {
    let Job { config, material, .. } = job;
    let recipe = &config.recipe;
    let batch_size = recipe.batch_size as usize;
    let n_steps_per_epoch = material.split.train.len().div_ceil(batch_size) as u64;
    let n_steps = n_steps_per_epoch * u64::from(phase.n_epochs);
    let start_rate = optimizer::initial_rate(&recipe.optimizer);
    let epoch_of_phase = epoch - phase.first_epoch;

    let samples = batches::epoch(&material.split.train, material.dataset.train.shape, recipe, config.seed, epoch);
    let mut losses = EpochLoss::new(epoch + 1);
    for (samples, index) in samples.chunks(batch_size).zip(u64::from(epoch_of_phase) * n_steps_per_epoch..) {
        if observer.stopped() {
            return Err(TrainError::Stopped);
        }
        let rate = learning_rate(&recipe.schedule, start_rate, Step { epoch: epoch_of_phase, index, n_steps, n_steps_per_epoch });
        let loss;
        (learner, loss) = learner.step(material, samples, rate, epoch_of_phase);
        losses.add(loss, samples.len())?;
    }
    Ok((learner, TrainedEpoch { loss: losses.mean()?, n_images: samples.len() }))
}

/// The mean loss of an epoch, gathered without waiting for the device at every step.
struct EpochLoss {
    /// Counted from 1.
    epoch: u32,
    /// Losses not read back yet, with their numbers of images.
    unread: Vec<(Tensor<1>, usize)>,
    sum: f64,
    n_images: usize,
}

impl EpochLoss {
    const fn new(epoch: u32) -> Self {
        Self { epoch, unread: Vec::new(), sum: 0.0, n_images: 0 }
    }

    fn add(&mut self, loss: Tensor<1>, n_images: usize) -> Result<(), TrainError> {
        self.unread.push((loss, n_images));
        if self.unread.len() < STEPS_BETWEEN_READS { Ok(()) } else { self.read() }
    }

    fn read(&mut self) -> Result<(), TrainError> {
        for (loss, n_images) in self.unread.drain(..) {
            let loss = f64::from(loss.try_into_scalar::<f32>()?);
            if !loss.is_finite() {
                return Err(TrainError::Diverged { epoch: self.epoch, loss });
            }
            self.sum += loss * n_images as f64;
            self.n_images += n_images;
        }
        Ok(())
    }

    fn mean(mut self) -> Result<f64, TrainError> {
        self.read()?;
        Ok(self.sum / self.n_images as f64)
    }
}

/// Share of a split that each exit got right.
pub(crate) fn exit_accuracy(records: &SplitRecords) -> Vec<f64> {
    let n = records.labels.len() as f64;
    let n_right = |prediction: &[u32]| prediction.iter().zip(&records.labels).filter(|(said, label)| said == label).count();
    records.exits.iter().map(|exit| n_right(&exit.prediction) as f64 / n).collect()
}

#[cfg(test)]
mod tests;
