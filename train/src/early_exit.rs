//! Real early exit: the network runs from exit to exit, and images that have left are not carried on.
//!
//! Results come from records, where every image passes every exit and leaving is played. Here images really leave, which says two things
//! more: that the played exits are the real ones, and how long answers take on the device.
//!
//! # What is measured
//! From images on the device to answers on the host: trunk, branches, reading each exit's logits back (which waits for the device), deciding,
//! and moving the rows that stay together. Latency is of one image at a time, throughput of batches of `BATCH`; of each the median over
//! `N_REPEATS` passes after one that does not count, in which kernels are compiled and chosen. `fixed` runs the branches on its way as well,
//! as the cascade accounting has it.

use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorReadError};
use offramp_data::Images;
use offramp_domain::evaluation::{self, Listener, Rule, SplitRecords};
use offramp_domain::outcome::OperatingPoint;

use crate::batches::{Normalisation, Sample};
use crate::network::MultiExit;
use crate::records::{Logits, to_device};
use crate::run::{Observer, TrainError};

/// Images whose latency is taken, one at a time: enough for the shares of exits to show, and an instant on any device.
const N_SINGLE: usize = 16;

/// Images whose throughput is taken, and how many go through at once: as in the evaluation that made the records.
const N_BATCHED: usize = 256;
const BATCH: usize = 128;

/// Passes that count: three have a median, and cost little.
const N_REPEATS: usize = 3;

/// Settings of one policy that are measured, evenly spaced among the stored ones: the shape of a curve without the time for all of it.
const N_SETTINGS: usize = 4;

/// Where a sample left, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The exit's index.
    pub exit: usize,
    /// The class.
    pub class: u32,
}

/// Answers a batch with real early exit: samples that a rule lets leave are dropped before the units that follow.
///
/// # Shapes
/// `[batch, channels, height, width]` -> one answer a sample, in the batch's order.
///
/// # Errors
/// When the device fails.
pub fn answer(model: &MultiExit, x_bchw: Tensor<4>, rule: &Rule) -> Result<Vec<Answer>, TensorReadError> {
    let [n_samples, ..] = x_bchw.dims();
    let mut answers: Vec<Option<Answer>> = vec![None; n_samples];
    let mut listeners = vec![Listener::default(); n_samples];
    // The samples that are still there, by their places in the batch, as the walk has them.
    let mut here: Vec<usize> = (0..n_samples).collect();
    let mut walk = model.walk(x_bchw);
    while let Some(logits_bk) = walk.next_exit() {
        let exit = walk.n_passed() - 1;
        let is_last = walk.n_passed() == model.n_exits();
        let logits = Logits::read(logits_bk)?;
        let mut staying: Vec<u32> = Vec::with_capacity(here.len());
        for ((row, &sample), logits) in (0..).zip(&here).zip(logits.rows()) {
            let said = listeners[sample].hear(logits);
            if is_last || rule.leaves(exit, &said) {
                answers[sample] = Some(Answer { exit, class: rule.answer(&said) });
            } else {
                staying.push(row);
            }
        }
        if staying.is_empty() {
            break;
        }
        if staying.len() < here.len() {
            walk.keep(&staying);
            here = staying.into_iter().map(|row| here[row as usize]).collect();
        }
    }
    Ok(answers.into_iter().map(|answer| answer.expect("what leaves nowhere else leaves at the final exit")).collect())
}

/// Measures some of the operating points, every fixed one among them, and writes latency and throughput into them. Their policies' rules
/// follow from the calibration split, as in the evaluation.
///
/// `model` is to be one for evaluation (`valid()`), on `device`.
///
/// # Errors
/// When the device fails, or the observer stops the run.
pub fn measure(
    model: &MultiExit,
    images: &Images,
    normalisation: &Normalisation,
    device: &Device,
    calibration: &SplitRecords,
    points: &mut [OperatingPoint],
    observer: &dyn Observer,
) -> Result<(), TrainError> {
    let batch = |indices: &[u32]| {
        let samples: Vec<Sample> = indices.iter().copied().map(Sample::plain).collect();
        to_device(images, normalisation, &samples, device)
    };
    let singles: Vec<Tensor<4>> = spread(images.len(), N_SINGLE).chunks(1).map(batch).collect();
    let batched = spread(images.len(), N_BATCHED);
    let n_batched = batched.len();
    let batches: Vec<Tensor<4>> = batched.chunks(BATCH).map(batch).collect();
    for index in measured(points) {
        let point = &mut points[index];
        let rule = evaluation::rule(&point.policy, point.setting, calibration).expect("a stored point has a rule");
        let latency = median_pass(model, &singles, &rule, observer)?.as_secs_f64() / singles.len() as f64;
        let time = median_pass(model, &batches, &rule, observer)?.as_secs_f64();
        point.latency_us = Some(latency * 1e6);
        point.images_per_second = Some(n_batched as f64 / time);
    }
    Ok(())
}

/// The median time in which all batches are answered.
fn median_pass(model: &MultiExit, batches: &[Tensor<4>], rule: &Rule, observer: &dyn Observer) -> Result<Duration, TrainError> {
    let mut times = Vec::with_capacity(N_REPEATS);
    for pass in 0..=N_REPEATS {
        if observer.stopped() {
            return Err(TrainError::Stopped);
        }
        let started = now();
        for batch in batches {
            answer(model, batch.clone(), rule)?;
        }
        if pass > 0 {
            // A clock that stood still would make a throughput without end.
            times.push(started.elapsed().max(Duration::from_nanos(1)));
        }
    }
    times.sort_unstable();
    Ok(times[N_REPEATS / 2])
}

/// Indices of the points that are measured: the fixed ones, and of every policy [`N_SETTINGS`] evenly spaced ones with both ends.
fn measured(points: &[OperatingPoint]) -> Vec<usize> {
    let mut chosen = Vec::new();
    let mut start = 0;
    for of_policy in points.chunk_by(|a, b| a.policy == b.policy) {
        let n = of_policy.len();
        let n_wanted = if of_policy[0].policy == evaluation::FIXED { n } else { N_SETTINGS };
        chosen.extend(spread(n, n_wanted).into_iter().map(|index| start + index as usize));
        start += n;
    }
    chosen
}

/// So many of `0..n`, evenly spaced with both ends; all where there are no more.
fn spread(n: usize, n_wanted: usize) -> Vec<u32> {
    if n <= n_wanted {
        return (0..n as u32).collect();
    }
    (0..n_wanted).map(|i| (i * (n - 1) / (n_wanted - 1)) as u32).collect()
}

/// The one place here that reads a clock: for durations in results, which decide nothing.
#[expect(clippy::disallowed_methods, reason = "durations are reported, and no decision depends on them")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
