//! What one exit is worth when every sample leaves there.

use super::records::{ExitRecords, SplitRecords};
use crate::outcome::ExitResult;

/// Bins of the calibration error: as in Guo et al., "On calibration of modern neural networks" (2017), and most papers since.
pub const CALIBRATION_BINS: usize = 15;

/// The metrics of every exit on both splits.
pub(super) fn exit_results(calibration: &SplitRecords, test: &SplitRecords) -> Vec<ExitResult> {
    let pairs = calibration.exits.iter().zip(&test.exits);
    pairs
        .map(|(on_calibration, on_test)| ExitResult {
            accuracy: accuracy(on_test, &test.labels),
            loss: mean_loss(on_test),
            calibration_accuracy: accuracy(on_calibration, &calibration.labels),
            calibration_loss: mean_loss(on_calibration),
            top5_accuracy: Some(top_accuracy(on_test, 5)),
            ece: Some(calibration_error(on_test, &test.labels)),
            calibration_top5_accuracy: Some(top_accuracy(on_calibration, 5)),
            calibration_ece: Some(calibration_error(on_calibration, &calibration.labels)),
        })
        .collect()
}

/// Share of the samples whose most probable class is right.
pub(super) fn accuracy(exit: &ExitRecords, labels: &[u32]) -> f64 {
    let n_right = exit.prediction.iter().zip(labels).filter(|(prediction, label)| prediction == label).count();
    n_right as f64 / labels.len() as f64
}

/// Share of the samples whose true class is among the `k` most probable; of equally probable classes the lower ones count first.
pub fn top_accuracy(exit: &ExitRecords, k: u32) -> f64 {
    let n_right = exit.label_rank.iter().filter(|rank| **rank < k).count();
    n_right as f64 / exit.label_rank.len() as f64
}

/// Expected calibration error: the mean distance between confidence and accuracy over [`CALIBRATION_BINS`] bins of equal width, each with
/// the weight of its samples. Bin i, from 1, holds confidences above (i - 1) / 15 and up to i / 15.
///
/// # Source
/// Guo et al. (2017), equation 3.
pub fn calibration_error(exit: &ExitRecords, labels: &[u32]) -> f64 {
    // Confidences less hits: what a bin's mean confidence and its accuracy differ by, times its samples.
    let mut excess = [0.0; CALIBRATION_BINS];
    for ((&confidence, prediction), label) in exit.confidence.iter().zip(&exit.prediction).zip(labels) {
        let confidence = f64::from(confidence);
        let bin = (confidence * CALIBRATION_BINS as f64).ceil() as usize;
        excess[bin.clamp(1, CALIBRATION_BINS) - 1] += confidence - f64::from(u8::from(prediction == label));
    }
    excess.iter().map(|excess| excess.abs()).sum::<f64>() / labels.len() as f64
}

fn mean_loss(exit: &ExitRecords) -> f64 {
    exit.loss.iter().copied().map(f64::from).sum::<f64>() / exit.loss.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(prediction: &[u32], confidence: &[f32]) -> ExitRecords {
        ExitRecords { prediction: prediction.to_vec(), confidence: confidence.to_vec(), ..ExitRecords::default() }
    }

    #[test]
    fn calibration_error_by_hand() {
        // Bins of 1/15: 0.5 and 0.53125 are both in bin 8 (0.4667 to 0.5333), one of them right: |1.03125 - 1| = 0.03125.
        // 0.25 (bin 4) is wrong: 0.25. 1.0 (bin 15) and 0.9375 (bin 15: above 0.9333) are right: |1.9375 - 2| = 0.0625.
        let records = exit(&[0, 0, 0, 0, 0], &[0.5, 0.53125, 0.25, 1.0, 0.9375]);
        let error = calibration_error(&records, &[0, 1, 1, 0, 0]);
        assert!((error - (0.03125 + 0.25 + 0.0625) / 5.0).abs() < 1e-15, "{error}");
    }

    #[test]
    fn a_bin_ends_with_its_upper_bound() {
        // Bin 9 ends at 9/15 = 0.6, which no f32 is.
        let below = 0.6_f32.next_down();
        let above = 0.6_f32.next_up();
        let beside = exit(&[0, 0], &[below, above]);
        // Apart: |below - 1| and |above - 0| add up; in one bin they would cancel out to about 0.2.
        let error = calibration_error(&beside, &[0, 1]);
        assert!((error - 0.5).abs() < 1e-6, "{error}");
        let together = exit(&[0, 0], &[above, above]);
        assert!((calibration_error(&together, &[0, 1]) - 0.1).abs() < 1e-6);
    }

    #[test]
    fn confidence_that_is_always_right_as_often_as_it_says_has_no_error() {
        let records = exit(&[0, 0, 0, 0], &[0.75; 4]);
        assert_eq!(calibration_error(&records, &[0, 0, 0, 1]), 0.0);
        assert_eq!(calibration_error(&records, &[0, 0, 1, 1]), 0.25);
        assert_eq!(calibration_error(&exit(&[0], &[0.0]), &[1]), 0.0, "no confidence falls out of the bins");
    }

    #[test]
    fn the_true_class_may_be_among_the_first_k() {
        let records = ExitRecords { label_rank: vec![0, 1, 4, 5], ..ExitRecords::default() };
        assert_eq!((top_accuracy(&records, 1), top_accuracy(&records, 5)), (0.25, 0.75));
    }
}
