//! What training and evaluating one job came to.

/// A job's result.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// One a exit, side exits first to last, then the final exit.
    pub exits: Vec<ExitResult>,
    /// What the exits give under each policy setting.
    pub operating_points: Vec<OperatingPoint>,
    /// Images trained on.
    pub n_train: u32,
    /// Images that thresholds were chosen on; none of them trained on.
    pub n_calibration: u32,
    /// Images that accuracies are of.
    pub n_test: u32,
    /// Time spent training, seconds.
    pub train_seconds: f64,
    /// What trained, e.g. `burn-flex` or `simulated`.
    pub trainer: String,
    /// The file with the per-sample records; absent where none was written.
    pub records: Option<Artifact>,
}

/// A file that a run left on its worker's machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its absolute path there.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// One exit's quality when every sample leaves there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExitResult {
    /// Share of test images whose most probable class is right, 0 to 1.
    pub accuracy: f64,
    /// Mean cross-entropy on the test split, nats.
    pub loss: f64,
    /// The same on the calibration split.
    pub calibration_accuracy: f64,
    /// The same on the calibration split.
    pub calibration_loss: f64,
    /// Share of test images whose true class is among the five most probable, 0 to 1. This and what follows is absent where a worker of an
    /// earlier version reports.
    pub top5_accuracy: Option<f64>,
    /// Expected calibration error on the test split over 15 bins of equal width, 0 to 1.
    pub ece: Option<f64>,
    /// The same as `top5_accuracy` on the calibration split.
    pub calibration_top5_accuracy: Option<f64>,
    /// The same as `ece` on the calibration split.
    pub calibration_ece: Option<f64>,
}

/// (Expected cost, accuracy) under one policy setting.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatingPoint {
    /// A [`Policy`](crate::job::Policy)'s name, or `fixed` (every sample leaves at one exit).
    pub policy: String,
    /// The policy's setting; for `fixed` the exit's index.
    pub setting: f64,
    /// Expected MACs of one test sample, every branch on the way paid.
    pub macs_cascade: f64,
    /// Expected MACs of one test sample, only the answering branch paid; where branches answer together, all of them.
    pub macs_selected: f64,
    /// Accuracy on the test split, 0 to 1.
    pub accuracy: f64,
    /// Accuracy on the calibration split, where the setting was chosen.
    pub calibration_accuracy: f64,
    /// Expected MACs of one calibration sample, cascade.
    pub calibration_macs_cascade: f64,
    /// Share of test samples that leave at each exit; sums to 1.
    pub exit_shares: Vec<f64>,
    /// Measured time from one test image to its answer with real early exit, the mean over images, microseconds; absent where it was not
    /// measured.
    pub latency_us: Option<f64>,
    /// Test images answered a second in large batches with real early exit; absent where it was not measured.
    pub images_per_second: Option<f64>,
}

/// Where a run stands, after each epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Epochs finished.
    pub epoch: u32,
    /// Epochs in all.
    pub n_epochs: u32,
    /// Mean training loss of that epoch, summed over exits.
    pub loss: f64,
    /// Accuracy of each exit on the calibration split, side exits first, 0 to 1.
    pub exit_accuracy: Vec<f64>,
    /// Training images per second over that epoch.
    pub images_per_second: f64,
}

/// How an attempt failed, as its trainer or worker saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// Anything without a kind of its own: an error, a panic.
    Failed,
    /// The loss became NaN or infinite.
    Diverged,
    /// The device or the host had too little memory.
    OutOfMemory,
    /// The trainer process died: a signal, an abort, an exit in the middle.
    Crashed,
    /// The trainer showed no sign of life for too long.
    TimedOut,
    /// The dataset's files are missing or damaged on this worker. Other workers may have good ones.
    NoData,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Failed, Self::Diverged, Self::OutOfMemory, Self::Crashed, Self::TimedOut, Self::NoData];

    /// The kind's name. The database writes it, too, but for `no-data`, which stands there as a failure with its message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Diverged => "diverged",
            Self::OutOfMemory => "out-of-memory",
            Self::Crashed => "crashed",
            Self::TimedOut => "timed-out",
            Self::NoData => "no-data",
        }
    }
}
