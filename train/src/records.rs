//! What the exits say of a split, read back from the device.

use burn::tensor::{Device, Tensor, TensorData};
use offramp_data::Images;
use offramp_domain::evaluation::{ExitRecords, SplitRecords};

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
    let labels: Vec<u32> = indices.iter().map(|&index| u32::from(images.labels[index as usize])).collect();
    let mut exits: Vec<ExitRecords> = Vec::new();
    for (indices, labels) in indices.chunks(BATCH).zip(labels.chunks(BATCH)) {
        if observer.stopped() {
            return Err(TrainError::Stopped);
        }
        let samples: Vec<Sample> = indices.iter().copied().map(Sample::plain).collect();
        let logits_bk = model.forward(to_device(images, normalisation, &samples, device));
        exits.resize_with(logits_bk.len(), || ExitRecords { prediction: Vec::new(), confidence: Vec::new(), loss: Vec::new() });
        for (exit, logits_bk) in exits.iter_mut().zip(logits_bk) {
            append(exit, logits_bk, labels)?;
        }
    }
    Ok(SplitRecords { labels, exits })
}

/// Puts a batch of samples on the device.
///
/// # Shapes
/// `[samples, channels, height, width]`.
pub fn to_device(images: &Images, normalisation: &Normalisation, samples: &[Sample], device: &Device) -> Tensor<4> {
    let shape = [samples.len(), images.shape.channels, images.shape.height, images.shape.width];
    Tensor::from_data(TensorData::new(batches::pixels(images, normalisation, samples), shape), device)
}

fn append(exit: &mut ExitRecords, logits_bk: Tensor<2>, labels: &[u32]) -> Result<(), TrainError> {
    let [_, n_classes] = logits_bk.dims();
    let logits = logits_bk.try_into_vec_as::<f32>()?;
    for (logits, &label) in logits.chunks_exact(n_classes).zip(labels) {
        let said = judge(logits, label as usize);
        exit.prediction.push(said.prediction);
        exit.confidence.push(said.confidence);
        exit.loss.push(said.loss);
    }
    Ok(())
}

#[derive(Debug, PartialEq)]
struct Said {
    prediction: u32,
    confidence: f32,
    loss: f32,
}

/// Softmax and cross-entropy of one sample, in f64: on the host they are the same on every device.
fn judge(logits: &[f32], label: usize) -> Said {
    let mut prediction = 0;
    for (class, logit) in logits.iter().enumerate() {
        if *logit > logits[prediction] {
            prediction = class;
        }
    }
    let greatest = f64::from(logits[prediction]);
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - greatest).exp()).sum();
    Said { prediction: prediction as u32, confidence: sum.recip() as f32, loss: (sum.ln() + greatest - f64::from(logits[label])) as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_and_cross_entropy_by_hand() {
        // Odds 1 : 2 : 5.
        let logits = [0.0, 2.0_f32.ln(), 5.0_f32.ln()];
        let said = judge(&logits, 1);
        assert_eq!(said.prediction, 2);
        assert!((said.confidence - 0.625).abs() < 1e-6);
        assert!((f64::from(said.loss) - 4.0_f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn large_logits_do_not_overflow_and_of_equals_the_lowest_class_is_predicted() {
        let said = judge(&[500.0, 500.0, -500.0], 2);
        assert_eq!((said.prediction, said.confidence), (0, 0.5));
        assert!((f64::from(said.loss) - (1000.0 + 2.0_f64.ln())).abs() < 1e-3);
    }
}
