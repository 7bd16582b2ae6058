//! What the exits say of a split, read back from the device.

use burn::tensor::{Device, Tensor, TensorData, TensorReadError};
use offramp_data::Images;
use offramp_domain::evaluation::SplitRecords;

use crate::batches::{self, Normalisation, Sample};
use crate::network::MultiExit;
use crate::run::{Observer, TrainError};

/// Images that go through the network at once: enough to fill a device, and few enough for the widest network's maps in CPU caches. Fixed, as
/// a batch's size may decide the order of sums.
const BATCH: usize = 128;

/// Shows a network the given images, unchanged but for normalisation, and records what every exit says.
///
/// `model` is to be one for evaluation (`valid()`), on `device`.
///
/// # Errors
/// When the device fails, or the observer stops the run.
pub fn record(
    model: &MultiExit,
    images: &Images,
    normalisation: &Normalisation,
    indices: &[u32],
    device: &Device,
    observer: &dyn Observer,
) -> Result<SplitRecords, TrainError> {
    let mut records = SplitRecords::new(model.n_exits());
    for indices in indices.chunks(BATCH) {
        if observer.stopped() {
            return Err(TrainError::Stopped);
        }
        let samples: Vec<Sample> = indices.iter().copied().map(Sample::plain).collect();
        let logits_bk = model.forward(to_device(images, normalisation, &samples, device));
        let logits = logits_bk.into_iter().map(Logits::read).collect::<Result<Vec<_>, _>>()?;
        for (row, &index) in indices.iter().enumerate() {
            records.push(index, u32::from(images.labels[index as usize]), logits.iter().map(|exit| exit.row(row)));
        }
    }
    Ok(records)
}

/// Puts a batch of samples on the device.
///
/// # Shapes
/// `[samples, channels, height, width]`.
pub fn to_device(images: &Images, normalisation: &Normalisation, samples: &[Sample], device: &Device) -> Tensor<4> {
    let shape = [samples.len(), images.shape.channels, images.shape.height, images.shape.width];
    Tensor::from_data(TensorData::new(batches::pixels(images, normalisation, samples), shape), device)
}

/// What one exit says of a batch, on the host.
#[derive(Debug)]
pub(crate) struct Logits {
    values: Vec<f32>,
    n_classes: usize,
}

impl Logits {
    /// Waits for the device.
    ///
    /// # Errors
    /// When it failed.
    pub(crate) fn read(logits_bk: Tensor<2>) -> Result<Self, TensorReadError> {
        let [_, n_classes] = logits_bk.dims();
        Ok(Self { values: logits_bk.try_into_vec_as::<f32>()?, n_classes })
    }

    /// One image's logits, one a class.
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.n_classes..][..self.n_classes]
    }

    /// Every image's, in the batch's order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.n_classes)
    }
}
