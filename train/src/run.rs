//! A job from its configuration to its outcome.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData, TensorReadError};
use offramp_data::{Cache, DataError, LoadedDataset};
use offramp_domain::evaluation::{Records, SplitRecords, evaluate};
use offramp_domain::job::JobConfig;
use offramp_domain::network::{self, Network, NetworkError};
use offramp_domain::outcome::{FailureKind, Outcome, Progress};

use crate::batches::{self, Normalisation, View};
use crate::device::{DeviceChoice, DeviceError};
use crate::network::MultiExit;
use crate::schedule::{Step, learning_rate};
use crate::split::{Split, split};
use crate::{early_exit, optimizer, records};

/// Steps between two looks at the loss. Reading it waits for the device, so not every step; a loss that became NaN stays NaN, so none is
/// missed.
const STEPS_BETWEEN_READS: usize = 16;

/// What a run needs besides its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The folder with the datasets that the binary does not contain.
    pub data_dir: PathBuf,
    /// Where to train.
    pub device: DeviceChoice,
}

/// Who follows a run, and may end it.
pub trait Observer {
    /// Is told where the run stands, after each epoch.
    fn progress(&mut self, progress: Progress);

    /// Is handed what the trained network's exits say of every sample, once, after training.
    fn records(&mut self, records: &Records);

    /// Says whether the run is to be given up; asked before each step, and before each batch of an evaluation.
    fn stopped(&self) -> bool;
}

/// Why a run has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The configuration describes no network.
    #[error("the configuration describes no network")]
    Network(#[from] NetworkError),
    /// A field of the configuration has a value that nothing can be trained with.
    #[error("`{field}` cannot be {value}")]
    Field {
        /// The field.
        field: &'static str,
        /// Its value.
        value: f64,
    },
    /// The device cannot be used.
    #[error("cannot open the device")]
    Device(#[from] DeviceError),
    /// The dataset cannot be read.
    #[error("cannot load the dataset")]
    Data(#[from] DataError),
    /// Too few images to hold any out for calibration.
    #[error(
        "`{dataset}` has {n_images} training images here, too few to hold {share} of them out for calibration and keep one of each class"
    )]
    TooFewImages {
        /// The dataset.
        dataset: String,
        /// Its training images.
        n_images: usize,
        /// The share to hold out.
        share: f64,
    },
    /// The device failed in the middle of the run.
    #[error("the device failed")]
    Execution(#[from] TensorReadError),
    /// The loss became NaN or infinite.
    #[error("the loss became {loss} in epoch {epoch}")]
    Diverged {
        /// The epoch, counted from 1.
        epoch: u32,
        /// What it became.
        loss: f64,
    },
    /// The observer ended the run. Not a failure: callers give the lease back.
    #[error("stopped")]
    Stopped,
}

impl TrainError {
    /// How the attempt failed, as the coordinator counts it.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Diverged { .. } => FailureKind::Diverged,
            Self::Execution(error) if says_out_of_memory(&error.to_string()) => FailureKind::OutOfMemory,
            Self::Network(_)
            | Self::Field { .. }
            | Self::TooFewImages { .. }
            | Self::Device(_)
            | Self::Data(_)
            | Self::Execution(_)
            | Self::Stopped => FailureKind::Failed,
        }
    }
}

/// Whether a backend's reason, which is text alone, is a lack of memory. Drivers and the layers above them spell it in several ways.
fn says_out_of_memory(reason: &str) -> bool {
    let reason = reason.to_lowercase().replace(['-', '_'], " ");
    ["out of memory", "out of device memory"].iter().any(|spelling| reason.contains(spelling))
}

/// What outcomes say trained them: `burn-flex`, `burn-cuda` or `burn-vulkan`.
pub fn trainer_name(device: DeviceChoice) -> String {
    format!("burn-{}", device.backend())
}

/// Trains and evaluates a job's network. All exits are trained jointly: the loss is the sum of their mean cross-entropies, each with weight 1.
///
/// # Errors
/// When the configuration, the device or the dataset is unusable, the loss diverges, or the observer stops the run.
pub fn run(
    config: &JobConfig,
    environment: &Environment,
    datasets: &mut Cache,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let network = network::assemble(config)?;
    check_fields(config)?;
    let device = environment.device.open()?;
    let dataset = datasets.get(&config.dataset, &environment.data_dir)?;
    let material = Material::prepare(&dataset, config)?;
    let started = now();
    let model = train(&network, config, &material, &device, observer)?;
    let train_seconds = started.elapsed().as_secs_f64();

    let calibration = material.record_calibration(&model, &device, observer)?;
    let test = material.record_test(&model, &device, observer)?;
    let mut evaluated = evaluate(&network, &config.evaluation, &calibration, &test);
    let mut losses = evaluated.exits.iter().flat_map(|exit| [exit.loss, exit.calibration_loss]);
    if let Some(loss) = losses.find(|loss| !loss.is_finite()) {
        return Err(TrainError::Diverged { epoch: config.recipe.epochs, loss });
    }
    let records = Records { calibration, test };
    observer.records(&records);
    if config.evaluation.latency {
        let Records { calibration, .. } = &records;
        let points = &mut evaluated.operating_points;
        early_exit::measure(&model, &dataset.test, &material.normalisation, &device, calibration, points, observer)?;
    }
    Ok(Outcome {
        exits: evaluated.exits,
        operating_points: evaluated.operating_points,
        n_train: material.split.train.len() as u32,
        n_calibration: material.split.calibration.len() as u32,
        n_test: dataset.test.len() as u32,
        train_seconds,
        trainer: trainer_name(environment.device),
        records: None,
    })
}

/// Refuses what the loop below could not run with; sweep files are checked more closely before they become jobs.
fn check_fields(config: &JobConfig) -> Result<(), TrainError> {
    let calibration = config.evaluation.calibration;
    if config.recipe.batch_size == 0 {
        return Err(TrainError::Field { field: "recipe.batch_size", value: 0.0 });
    }
    if !(calibration > 0.0 && calibration <= 0.5) {
        return Err(TrainError::Field { field: "evaluation.calibration", value: calibration });
    }
    Ok(())
}

/// A dataset, parted and measured.
struct Material<'a> {
    dataset: &'a LoadedDataset,
    split: Split,
    normalisation: Normalisation,
}

impl<'a> Material<'a> {
    fn prepare(dataset: &'a LoadedDataset, config: &JobConfig) -> Result<Self, TrainError> {
        let share = config.evaluation.calibration;
        let split = split(&dataset.train.labels, share);
        if split.calibration.is_empty() {
            return Err(TrainError::TooFewImages { dataset: config.dataset.clone(), n_images: dataset.train.labels.len(), share });
        }
        let normalisation = Normalisation::measure(&dataset.train, &split.train);
        Ok(Self { dataset, split, normalisation })
    }

    fn record_calibration(&self, model: &MultiExit, device: &Device, observer: &dyn Observer) -> Result<SplitRecords, TrainError> {
        records::record(model, &self.dataset.train, &self.normalisation, &self.split.calibration, device, observer)
    }

    fn record_test(&self, model: &MultiExit, device: &Device, observer: &dyn Observer) -> Result<SplitRecords, TrainError> {
        let all: Vec<u32> = (0..self.dataset.test.len() as u32).collect();
        records::record(model, &self.dataset.test, &self.normalisation, &all, device, observer)
    }
}

/// Trains a network from its initial weights and gives it back ready for evaluation.
fn train(
    network: &Network,
    config: &JobConfig,
    material: &Material,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<MultiExit, TrainError> {
    let recipe = &config.recipe;
    let batch_size = recipe.batch_size as usize;
    let steps_per_epoch = material.split.train.len().div_ceil(batch_size) as u64;
    let n_steps = steps_per_epoch * u64::from(recipe.epochs);
    let start_rate = optimizer::initial_rate(&recipe.optimizer);
    let mut learner = Learner::new(network, config, device.clone().autodiff());

    for epoch in 0..recipe.epochs {
        let started = now();
        let views = batches::epoch(&material.split.train, network.backbone.input.height, recipe.augment, config.seed, epoch);
        let mut losses = EpochLoss::new(epoch + 1);
        for (views, index) in views.chunks(batch_size).zip(u64::from(epoch) * steps_per_epoch..) {
            if observer.stopped() {
                return Err(TrainError::Stopped);
            }
            let rate = learning_rate(&recipe.schedule, start_rate, Step { epoch, index, n_steps });
            let loss;
            (learner, loss) = learner.step(material, views, rate);
            losses.add(loss, views.len())?;
        }
        let loss = losses.mean()?;
        let took = started.elapsed().max(Duration::from_nanos(1));
        let calibration = material.record_calibration(&learner.model.valid(), device, observer)?;
        observer.progress(Progress {
            epoch: epoch + 1,
            n_epochs: recipe.epochs,
            loss,
            exit_accuracy: exit_accuracy(&calibration),
            images_per_second: views.len() as f64 / took.as_secs_f64(),
        });
    }
    Ok(learner.model.valid())
}

/// What changes from step to step.
struct Learner {
    model: MultiExit,
    optimizer: ModuleOptimizer,
    cross_entropy: CrossEntropyLoss,
    device: Device,
}

impl Learner {
    fn new(network: &Network, config: &JobConfig, device: Device) -> Self {
        Self {
            model: MultiExit::new(network, config.seed, &device),
            optimizer: optimizer::build(&config.recipe.optimizer),
            cross_entropy: CrossEntropyLossConfig::new().init(&device),
            device,
        }
    }

    /// Takes one step down the gradient of a batch; gives the loss before it, still on the device.
    fn step(mut self, material: &Material, views: &[View], rate: f64) -> (Self, Tensor<1>) {
        let images = &material.dataset.train;
        let x_bchw = records::to_device(images, &material.normalisation, views, &self.device);
        let labels: Vec<i32> = views.iter().map(|view| i32::from(images.labels[view.index as usize])).collect();
        let targets_b = Tensor::<1, Int>::from_data(TensorData::new(labels, [views.len()]), &self.device);

        let logits = self.model.forward(x_bchw);
        let loss = logits.into_iter().map(|logits_bk| self.cross_entropy.forward(logits_bk, targets_b.clone()));
        let loss = loss.reduce(|sum, loss| sum + loss).expect("a network has a final exit");

        let gradients = GradientsParams::from_grads(loss.backward(), &self.model);
        self.model = self.optimizer.step(rate, self.model, gradients);
        (self, loss.detach())
    }
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

fn exit_accuracy(records: &SplitRecords) -> Vec<f64> {
    let n = records.labels.len() as f64;
    let n_right = |prediction: &[u32]| prediction.iter().zip(&records.labels).filter(|(said, label)| said == label).count();
    records.exits.iter().map(|exit| n_right(&exit.prediction) as f64 / n).collect()
}

/// The one place where this crate reads a clock: for durations in results, which decide nothing.
#[expect(clippy::disallowed_methods, reason = "durations are reported, and no decision depends on them")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
