//! A job's dataset, parted and measured.

use burn::tensor::{Device, Tensor};
use offramp_domain::evaluation::SplitRecords;
use offramp_domain::job::JobConfig;

use crate::batches::{Normalisation, Sample};
use crate::network::MultiExit;
use crate::objective::{self, Targets};
use crate::records;
use crate::run::{Observer, TrainError};
use crate::split::{Split, split};
use offramp_data::LoadedDataset;

/// A dataset, parted and measured.
pub struct Material<'a> {
    /// Its images.
    pub dataset: &'a LoadedDataset,
    /// Which are trained on, and which thresholds are chosen on.
    pub split: Split,
    /// What pixel values become.
    pub normalisation: Normalisation,
    /// Number of classes.
    pub n_classes: usize,
}

impl<'a> Material<'a> {
    /// Parts and measures a dataset.
    ///
    /// # Errors
    /// When there are too few images to hold any out.
    pub fn prepare(dataset: &'a LoadedDataset, n_classes: usize, config: &JobConfig) -> Result<Self, TrainError> {
        let share = config.evaluation.calibration;
        let split = split(&dataset.train.labels, share);
        if split.calibration.is_empty() {
            return Err(TrainError::TooFewImages { dataset: config.dataset.clone(), n_images: dataset.train.labels.len(), share });
        }
        let normalisation = Normalisation::measure(&dataset.train, &split.train);
        Ok(Self { dataset, split, normalisation, n_classes })
    }

    /// Puts a batch on the device, with what it is to be taken for.
    ///
    /// # Shapes
    /// `[samples, channels, height, width]`.
    pub fn batch(&self, samples: &[Sample], smoothing: f64, device: &Device) -> (Tensor<4>, Targets) {
        let images = &self.dataset.train;
        let x_bchw = records::to_device(images, &self.normalisation, samples, device);
        (x_bchw, objective::targets(images, samples, self.n_classes, smoothing, device))
    }

    /// Records what a model for evaluation says of the calibration split.
    ///
    /// # Errors
    /// When the device fails, or the observer stops the run.
    pub fn record_calibration(&self, model: &MultiExit, device: &Device, observer: &dyn Observer) -> Result<SplitRecords, TrainError> {
        records::record(model, &self.dataset.train, &self.normalisation, &self.split.calibration, device, observer)
    }

    /// Records what a model for evaluation says of the test split.
    ///
    /// # Errors
    /// When the device fails, or the observer stops the run.
    pub fn record_test(&self, model: &MultiExit, device: &Device, observer: &dyn Observer) -> Result<SplitRecords, TrainError> {
        let all: Vec<u32> = (0..self.dataset.test.len() as u32).collect();
        records::record(model, &self.dataset.test, &self.normalisation, &all, device, observer)
    }
}
