//! Per-sample records: what every exit said of every sample of a split, and how that follows from logits.
//!
//! Everything that any policy asks of an exit is here, whatever the number of classes, so that policies can be evaluated on records alone,
//! long after the network is gone.

/// The per-sample records of a job: both splits.
#[derive(Debug, Clone, PartialEq)]
pub struct Records {
    /// Held out of the training set; settings are chosen on it.
    pub calibration: SplitRecords,
    /// The test set; only says what a chosen setting is worth.
    pub test: SplitRecords,
}

/// What every exit said of every sample of one split.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitRecords {
    /// Each sample's place in the file that the split was taken from, from 0.
    pub indices: Vec<u32>,
    /// The true class of each sample.
    pub labels: Vec<u32>,
    /// One an exit, side exits first to last, then the final exit.
    pub exits: Vec<ExitRecords>,
}

/// What one exit said of each sample of a split.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExitRecords {
    /// Most probable class; the lowest index among equals.
    pub prediction: Vec<u32>,
    /// Its softmax probability.
    pub confidence: Vec<f32>,
    /// Entropy of the softmax, nats.
    pub entropy: Vec<f32>,
    /// Its greatest probability less its second greatest; 1 where there is one class.
    pub margin: Vec<f32>,
    /// Cross-entropy, nats.
    pub loss: Vec<f32>,
    /// How many classes stand before the true one, by probability, then by index: 0 where the prediction is right.
    pub label_rank: Vec<u32>,
    /// Most probable class by the mean of the softmaxes of this exit and all before it; the lowest index among equals.
    pub ensemble_prediction: Vec<u32>,
    /// Its probability by that mean.
    pub ensemble_confidence: Vec<f32>,
}

/// What one exit says of one sample: all that a policy may look at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    /// See [`ExitRecords::prediction`].
    pub prediction: u32,
    /// See [`ExitRecords::confidence`].
    pub confidence: f32,
    /// See [`ExitRecords::entropy`].
    pub entropy: f32,
    /// See [`ExitRecords::margin`].
    pub margin: f32,
    /// See [`ExitRecords::ensemble_prediction`].
    pub ensemble_prediction: u32,
    /// See [`ExitRecords::ensemble_confidence`].
    pub ensemble_confidence: f32,
    /// Exits in a row right before this one that predict the same class as it does.
    pub n_agreeing: u32,
}

/// Hears one sample's exits out, first to last.
///
/// Softmaxes are taken in f64 on the host, so that the same logits say the same on every device.
///
/// # Examples
/// ```
/// use offramp_domain::evaluation::Listener;
///
/// let mut listener = Listener::default();
/// assert_eq!(listener.hear(&[0.0, 2.0]).n_agreeing, 0);
/// let second = listener.hear(&[0.0, 1.0]);
/// assert_eq!((second.prediction, second.n_agreeing), (1, 1));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Listener {
    /// Sum of the softmaxes so far, one number a class.
    sum: Vec<f64>,
    n_heard: u32,
    last_prediction: u32,
    n_agreeing: u32,
}

impl Listener {
    /// Takes the next exit's logits, one a class.
    pub fn hear(&mut self, logits: &[f32]) -> Said {
        self.take(&Softmax::of(logits), logits)
    }

    fn take(&mut self, softmax: &Softmax, logits: &[f32]) -> Said {
        let agrees = self.n_heard > 0 && softmax.prediction == self.last_prediction;
        self.n_agreeing = if agrees { self.n_agreeing + 1 } else { 0 };
        self.last_prediction = softmax.prediction;
        self.n_heard += 1;
        self.sum.resize(logits.len(), 0.0);
        let mut entropy = softmax.sum.ln();
        for (sum, &logit) in self.sum.iter_mut().zip(logits) {
            let below = f64::from(logit) - softmax.greatest;
            let probability = below.exp() / softmax.sum;
            entropy -= probability * below;
            *sum += probability;
        }
        let ensemble = first_greatest(&self.sum);
        Said {
            prediction: softmax.prediction,
            confidence: softmax.sum.recip() as f32,
            // Rounding may take a certain exit a hair below 0.
            entropy: entropy.max(0.0) as f32,
            margin: ((1.0 - (softmax.second - softmax.greatest).exp()) / softmax.sum) as f32,
            ensemble_prediction: ensemble as u32,
            ensemble_confidence: (self.sum[ensemble] / f64::from(self.n_heard)) as f32,
            n_agreeing: self.n_agreeing,
        }
    }
}

impl SplitRecords {
    /// Records of no sample yet, for a network with this many exits.
    pub fn new(n_exits: usize) -> Self {
        Self { indices: Vec::new(), labels: Vec::new(), exits: vec![ExitRecords::default(); n_exits] }
    }

    /// Records what the exits say of one more sample: logits, one slice an exit.
    ///
    /// # Panics
    /// When there are more or fewer slices than exits, or the label is no class.
    pub fn push<'l>(&mut self, index: u32, label: u32, logits: impl IntoIterator<Item = &'l [f32]>) {
        let mut listener = Listener::default();
        let mut logits = logits.into_iter();
        for exit in &mut self.exits {
            let logits = logits.next().expect("one slice of logits an exit");
            let softmax = Softmax::of(logits);
            let said = listener.take(&softmax, logits);
            exit.push(&said, softmax.loss(logits, label as usize), rank(logits, label as usize));
        }
        assert!(logits.next().is_none(), "one slice of logits an exit");
        self.indices.push(index);
        self.labels.push(label);
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// What the exits said of one sample, first to last.
    pub fn said(&self, sample: usize) -> impl Iterator<Item = Said> {
        let mut last = None;
        self.exits.iter().map(move |exit| {
            let prediction = exit.prediction[sample];
            let n_agreeing = match last {
                Some((before, n_agreeing)) if before == prediction => n_agreeing + 1,
                _ => 0,
            };
            last = Some((prediction, n_agreeing));
            Said {
                prediction,
                confidence: exit.confidence[sample],
                entropy: exit.entropy[sample],
                margin: exit.margin[sample],
                ensemble_prediction: exit.ensemble_prediction[sample],
                ensemble_confidence: exit.ensemble_confidence[sample],
                n_agreeing,
            }
        })
    }
}

impl ExitRecords {
    /// Records what this exit says of one more sample, with its cross-entropy and the true class's rank.
    pub fn push(&mut self, said: &Said, loss: f32, label_rank: u32) {
        self.prediction.push(said.prediction);
        self.confidence.push(said.confidence);
        self.entropy.push(said.entropy);
        self.margin.push(said.margin);
        self.loss.push(loss);
        self.label_rank.push(label_rank);
        self.ensemble_prediction.push(said.ensemble_prediction);
        self.ensemble_confidence.push(said.ensemble_confidence);
    }
}

/// A softmax, as far as one number a sample can tell.
struct Softmax {
    /// The greatest logit's class; the lowest among equals.
    prediction: u32,
    greatest: f64,
    /// The greatest of the other logits; minus infinity where there are none.
    second: f64,
    /// Sum of the exponentials of logits less the greatest.
    sum: f64,
}

impl Softmax {
    fn of(logits: &[f32]) -> Self {
        let prediction = first_greatest(logits);
        let greatest = f64::from(logits[prediction]);
        let others = logits.iter().enumerate().filter(|(class, _)| *class != prediction);
        let second = others.map(|(_, &logit)| f64::from(logit)).fold(f64::NEG_INFINITY, f64::max);
        let sum = logits.iter().map(|&logit| (f64::from(logit) - greatest).exp()).sum();
        Self { prediction: prediction as u32, greatest, second, sum }
    }

    fn loss(&self, logits: &[f32], label: usize) -> f32 {
        (self.sum.ln() + self.greatest - f64::from(logits[label])) as f32
    }
}

/// How many logits stand before the label's: greater, or equal with a lower index.
fn rank(logits: &[f32], label: usize) -> u32 {
    let own = logits[label];
    let before = |(class, &logit): (usize, &f32)| logit > own || (logit == own && class < label);
    logits.iter().enumerate().filter(|&entry| before(entry)).count() as u32
}

/// Index of the greatest value; the lowest among equals.
fn first_greatest<T: PartialOrd>(values: &[T]) -> usize {
    let mut greatest = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[greatest] {
            greatest = index;
        }
    }
    greatest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits of these odds.
    fn odds(odds: &[f32]) -> Vec<f32> {
        odds.iter().map(|odd| odd.ln()).collect()
    }

    fn close(found: f32, expected: f64) {
        assert!((f64::from(found) - expected).abs() < 1e-6, "{found} is not {expected}");
    }

    #[test]
    fn one_exit_by_hand() {
        // Odds 1 : 2 : 5, so probabilities 1/8, 2/8, 5/8; the true class is the middle one.
        let mut records = SplitRecords::new(1);
        records.push(7, 1, [&odds(&[1.0, 2.0, 5.0])[..]]);
        let exit = &records.exits[0];
        assert_eq!((records.indices[0], records.labels[0]), (7, 1));
        assert_eq!((exit.prediction[0], exit.label_rank[0]), (2, 1));
        close(exit.confidence[0], 0.625);
        close(exit.margin[0], 0.375);
        close(exit.loss[0], 4.0_f64.ln());
        // In halvings: 1/8 * 3 + 2/8 * 2 + 5/8 * log2(8/5).
        close(exit.entropy[0], (0.375 + 0.5 + 0.625 * 1.6_f64.log2()) * std::f64::consts::LN_2);
    }

    #[test]
    fn large_logits_do_not_overflow_and_of_equals_the_lowest_class_is_predicted() {
        let mut records = SplitRecords::new(1);
        records.push(0, 2, [&[500.0, 500.0, -500.0][..]]);
        let exit = &records.exits[0];
        assert_eq!((exit.prediction[0], exit.confidence[0], exit.margin[0], exit.label_rank[0]), (0, 0.5, 0.0, 2));
        close(exit.entropy[0], std::f64::consts::LN_2);
        assert!((f64::from(exit.loss[0]) - (1000.0 + 2.0_f64.ln())).abs() < 1e-3);
    }

    #[test]
    fn an_exit_without_doubt_has_no_entropy_and_the_full_margin() {
        let said = Listener::default().hear(&[0.0, 800.0]);
        assert_eq!((said.prediction, said.confidence, said.entropy, said.margin), (1, 1.0, 0.0, 1.0));
        let said = Listener::default().hear(&[3.0]);
        assert_eq!((said.confidence, said.entropy, said.margin), (1.0, 0.0, 1.0));
    }

    #[test]
    fn the_ensemble_is_the_running_mean_of_softmaxes() {
        // (0.5, 0.3, 0.2), then (0.1, 0.3, 0.6), then (0.1, 0.7, 0.2): means (0.3, 0.3, 0.4) and (0.7, 1.3, 1.0) / 3.
        let mut listener = Listener::default();
        let said: Vec<Said> = [[5.0, 3.0, 2.0], [1.0, 3.0, 6.0], [1.0, 7.0, 2.0]].iter().map(|exit| listener.hear(&odds(exit))).collect();
        assert_eq!(said.iter().map(|said| said.ensemble_prediction).collect::<Vec<_>>(), [0, 2, 1]);
        close(said[0].ensemble_confidence, 0.5);
        close(said[1].ensemble_confidence, 0.4);
        close(said[2].ensemble_confidence, 1.3 / 3.0);
    }

    #[test]
    fn agreement_is_counted_from_the_last_change() {
        // Predictions 1 1 0 0 0.
        let exits = [[1.0, 2.0], [1.0, 3.0], [2.0, 1.0], [3.0, 1.0], [4.0, 1.0]].map(|exit| odds(&exit));
        let mut listener = Listener::default();
        let heard: Vec<Said> = exits.iter().map(|exit| listener.hear(exit)).collect();
        assert_eq!(heard.iter().map(|said| said.n_agreeing).collect::<Vec<_>>(), [0, 1, 0, 1, 2]);
        let mut records = SplitRecords::new(5);
        records.push(0, 0, exits.iter().map(Vec::as_slice));
        assert_eq!(records.said(0).collect::<Vec<_>>(), heard, "records say what was heard");
    }
}
