//! A job from its configuration to its outcome.

use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::TensorReadError;
use offramp_data::{Cache, DataError};
use offramp_domain::evaluation::{Records, evaluate};
use offramp_domain::job::{JobConfig, Pretrained};
use offramp_domain::network::{self, NetworkError};
use offramp_domain::outcome::{FailureKind, Outcome, Progress};

use crate::checkpoint::Checkpoints;
use crate::device::{DeviceChoice, DeviceError};
use crate::material::Material;
use crate::network::{Weights, WeightsError};
use crate::training::{Job, Saving, train};
use crate::{early_exit, fields, precision};

/// What a run needs besides its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The folder with the datasets that the binary does not contain.
    pub data_dir: PathBuf,
    /// Where to train.
    pub device: DeviceChoice,
    /// Where a run leaves what the next attempt at it goes on from; absent where every attempt begins anew.
    pub checkpoints: Option<Checkpoints>,
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
    /// The exits' weights are not one an exit.
    #[error("`exit_weights` has {n_weights} weights for {n_exits} exits")]
    ExitWeights {
        /// Weights in the list.
        n_weights: usize,
        /// Exits of the network, the final one included.
        n_exits: usize,
    },
    /// The device cannot be used.
    #[error("cannot open the device")]
    Device(#[from] DeviceError),
    /// The dataset cannot be read.
    #[error("cannot load the dataset")]
    Data(#[from] DataError),
    /// The device does not compute in 16 bits.
    #[error("`{0}` cannot train in bf16; precision f32 works everywhere")]
    Precision(DeviceChoice),
    /// The weights to start from cannot be loaded.
    #[error("cannot start from the pretrained weights; hint: {}", .0.hint())]
    Pretrained(#[from] WeightsError),
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
            // A name that this build does not know is no fault of the files.
            Self::Data(DataError::Unknown(_)) => FailureKind::Failed,
            // Another worker may have the files that are meant.
            Self::Data(_) | Self::TooFewImages { .. } | Self::Pretrained(WeightsError::Read { .. } | WeightsError::Checksum { .. }) => {
                FailureKind::NoData
            }
            Self::Network(_)
            | Self::Field { .. }
            | Self::ExitWeights { .. }
            | Self::Precision(_)
            | Self::Pretrained(_)
            | Self::Device(_)
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

/// Trains and evaluates a job's network, from a checkpoint where an earlier attempt left one.
///
/// # Errors
/// When the configuration, the device or the dataset is unusable, the loss diverges, or the observer stops the run.
pub fn run(
    config: &JobConfig,
    environment: &Environment,
    datasets: &mut Cache,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let mut saving = environment.checkpoints.as_ref().map(|kept| Saving::new(kept, config, &trainer_name(environment.device)));
    let result = train_and_evaluate(config, environment, datasets, saving.as_mut(), observer);
    // What diverged would only do so again; every other failure may be the machine's.
    if let (Ok(_) | Err(TrainError::Diverged { .. }), Some(saving)) = (&result, saving) {
        saving.forget();
    }
    result
}

fn train_and_evaluate(
    config: &JobConfig,
    environment: &Environment,
    datasets: &mut Cache,
    saving: Option<&mut Saving>,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let network = network::assemble(config)?;
    fields::check(config, &network)?;
    let device = environment.device.open()?;
    precision::check(config.recipe.precision, environment.device, &device)?;
    let pretrained = config.pretrained.as_ref().map(|from| read_pretrained(from, environment)).transpose()?;
    let dataset = datasets.get(&config.dataset, &environment.data_dir)?;
    let material = Material::prepare(&dataset, network.n_classes, config)?;
    let job = Job { network: &network, config, material: &material, device: &device, pretrained: pretrained.as_ref() };
    let trained = train(job, saving, observer)?;

    let calibration = material.record_calibration(&trained.model, &device, observer)?;
    let test = material.record_test(&trained.model, &device, observer)?;
    let mut evaluated = evaluate(&network, &config.evaluation, &calibration, &test);
    let mut losses = evaluated.exits.iter().flat_map(|exit| [exit.loss, exit.calibration_loss]);
    if let Some(loss) = losses.find(|loss| !loss.is_finite()) {
        return Err(TrainError::Diverged { epoch: config.n_epochs(), loss });
    }
    let records = Records { calibration, test };
    observer.records(&records);
    if config.evaluation.latency {
        let Records { calibration, .. } = &records;
        let points = &mut evaluated.operating_points;
        early_exit::measure(&trained.model, &dataset.test, &material.normalisation, &device, calibration, points, observer)?;
    }
    Ok(Outcome {
        exits: evaluated.exits,
        operating_points: evaluated.operating_points,
        n_train: material.split.train.len() as u32,
        n_calibration: material.split.calibration.len() as u32,
        n_test: dataset.test.len() as u32,
        train_seconds: trained.seconds,
        trainer: trainer_name(environment.device),
        records: None,
    })
}

/// Reads the weights to start from, and makes sure that they are the ones that the job means.
fn read_pretrained(from: &Pretrained, environment: &Environment) -> Result<Weights, WeightsError> {
    let weights = Weights::read(&environment.data_dir.join(&from.file))?;
    weights.check(&from.sha256)?;
    Ok(weights)
}

/// The one place where this crate reads a clock: for durations in results, and for when a checkpoint is due. No result depends on it.
#[expect(clippy::disallowed_methods, reason = "durations are reported, and decide when a checkpoint is written, not what comes out")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
