//! How results follow from per-sample records: exit metrics, operating points, the area under accuracy-vs-MACs.

use crate::job::Evaluation;
use crate::network::Network;
use crate::outcome::{ExitResult, OperatingPoint};

/// What every exit said of every sample of one split.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitRecords {
    /// The true class of each sample.
    pub labels: Vec<u32>,
    /// One an exit, side exits first to last, then the final exit.
    pub exits: Vec<ExitRecords>,
}

/// What one exit said of each sample of a split.
#[derive(Debug, Clone, PartialEq)]
pub struct ExitRecords {
    /// Most probable class; the lowest index among equals.
    pub prediction: Vec<u32>,
    /// Its softmax probability.
    pub confidence: Vec<f32>,
    /// Cross-entropy, nats.
    pub loss: Vec<f32>,
}

/// Exit metrics and operating points.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// One an exit.
    pub exits: Vec<ExitResult>,
    /// `fixed` points first, then one for each policy setting that the calibration split singles out.
    pub operating_points: Vec<OperatingPoint>,
}

/// Evaluates a trained network. Settings are chosen on `calibration`; accuracies and costs are of `test`.
pub fn evaluate(_network: &Network, _evaluation: &Evaluation, _calibration: &SplitRecords, _test: &SplitRecords) -> Evaluated {
    todo!()
}

/// Area under accuracy-vs-MACs: the mean over costs from 0 to twice the backbone's own MACs of the best accuracy attainable at no more than
/// that cost (cascade); below the cheapest point, chance (1 / classes).
pub fn area(_points: &[OperatingPoint], _backbone_macs: u64, _n_classes: usize) -> f64 {
    todo!()
}
