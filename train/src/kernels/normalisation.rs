//! Batch norm, with a ReLU after it or without, and its gradient.
//!
//! Sums are taken over fixed parts of a batch, in sixteen lanes whatever vectors the processor has, and the parts' sums are added in order.

use pulp::Arch;
use rayon::prelude::*;

use super::convolution::relu;

/// Parts of a batch that are summed apart, at most.
const MAX_PARTS: usize = 32;

/// Lanes of a sum.
const LANES: usize = 16;

/// What a batch norm does to each channel: `(x - mean) * gamma / sqrt(variance + epsilon) + beta`, then ReLU or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Normalisation<'a> {
    pub(super) gamma: &'a [f32],
    pub(super) beta: &'a [f32],
    pub(super) mean: &'a [f32],
    /// Biased.
    pub(super) variance: &'a [f32],
    pub(super) epsilon: f64,
    pub(super) relu: bool,
}

/// Gradients of a batch norm.
#[derive(Debug)]
pub(super) struct Gradients {
    pub(super) x_bchw: Vec<f32>,
    pub(super) gamma: Vec<f32>,
    pub(super) beta: Vec<f32>,
}

/// One channel of a normalisation.
#[derive(Clone, Copy)]
struct Channel {
    mean: f32,
    /// `1 / sqrt(variance + epsilon)`.
    inverse: f32,
    /// `gamma * inverse`.
    scale: f32,
    beta: f32,
    relu: bool,
}

impl Channel {
    #[inline(always)]
    fn apply(self, x: f32) -> f32 {
        let y = (x - self.mean) * self.scale + self.beta;
        if self.relu { relu(y) } else { y }
    }

    /// The gradient before the ReLU, for an input and the gradient after it.
    #[inline(always)]
    fn before_relu(self, x: f32, gradient: f32) -> f32 {
        if self.relu && (x - self.mean) * self.scale + self.beta <= 0.0 { 0.0 } else { gradient }
    }
}

/// The shape of a batch of maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Maps {
    pub(super) n_images: usize,
    pub(super) channels: usize,
    /// Positions of a map.
    pub(super) positions: usize,
}

impl Maps {
    fn image(self) -> usize {
        (self.channels * self.positions).max(1)
    }

    /// Numbers of a part of the batch.
    fn part(self) -> usize {
        self.n_images.div_ceil(MAX_PARTS).max(1) * self.image()
    }

    /// One channel's maps in a part of the batch.
    #[inline(always)]
    fn planes(self, part: &[f32], channel: usize) -> impl Iterator<Item = &[f32]> {
        part.chunks_exact(self.image()).map(move |image| &image[channel * self.positions..][..self.positions])
    }

    #[inline(always)]
    fn part_statistics(self, part: &[f32], channel: usize) -> Part {
        let n = (part.len() / self.image() * self.positions) as f64;
        let mut sum = 0.0;
        for plane in self.planes(part, channel) {
            sum += sums(plane, plane, |x, _| (x, 0.0)).0;
        }
        let centre = (sum / n) as f32;
        let (mut squares, mut rest) = (0.0, 0.0);
        for plane in self.planes(part, channel) {
            let found = sums(plane, plane, |x, _| ((x - centre) * (x - centre), x - centre));
            squares += found.0;
            rest += found.1;
        }
        // The centre is the mean after rounding; what the distances from it leave over makes up for that.
        Part { n, mean: f64::from(centre) + rest / n, squares: squares - rest * rest / n }
    }

    fn per_channel(self) -> f64 {
        (self.n_images * self.positions) as f64
    }
}

/// A channel in a part of a batch.
#[derive(Clone, Copy)]
struct Part {
    /// Numbers.
    n: f64,
    mean: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
}

/// Sums of what a function gives for each pair, lane by lane. The second of the two results is summed apart.
#[inline(always)]
fn sums(xs: &[f32], ys: &[f32], each: impl Fn(f32, f32) -> (f32, f32)) -> (f64, f64) {
    let mut lanes = ([0.0_f32; LANES], [0.0_f32; LANES]);
    let (x_chunks, x_rest) = xs.as_chunks::<LANES>();
    let (y_chunks, y_rest) = ys.as_chunks::<LANES>();
    for (xs, ys) in x_chunks.iter().zip(y_chunks) {
        for lane in 0..LANES {
            let (a, b) = each(xs[lane], ys[lane]);
            lanes.0[lane] += a;
            lanes.1[lane] += b;
        }
    }
    for (lane, (&x, &y)) in x_rest.iter().zip(y_rest).enumerate() {
        let (a, b) = each(x, y);
        lanes.0[lane] += a;
        lanes.1[lane] += b;
    }
    (total(&lanes.0), total(&lanes.1))
}

#[inline(always)]
fn total(lanes: &[f32; LANES]) -> f64 {
    lanes.iter().map(|lane| f64::from(*lane)).sum()
}

/// Mean and biased variance of every channel of a batch.
pub(super) fn statistics(arch: Arch, x_bchw: &[f32], maps: Maps) -> (Vec<f32>, Vec<f32>) {
    let part_statistics = |part: &[f32]| {
        arch.dispatch(
            #[inline(always)]
            || {
                let mut found = Vec::with_capacity(maps.channels);
                for channel in 0..maps.channels {
                    found.push(maps.part_statistics(part, channel));
                }
                found
            },
        )
    };
    let parts: Vec<Vec<Part>> = x_bchw.par_chunks(maps.part()).map(part_statistics).collect();
    let n = maps.per_channel();
    (0..maps.channels)
        .map(|channel| {
            let parts = || parts.iter().map(|part| part[channel]);
            let mean = parts().map(|part| part.n * part.mean).sum::<f64>() / n;
            let squares: f64 = parts().map(|part| part.squares + part.n * (part.mean - mean) * (part.mean - mean)).sum();
            (mean as f32, (squares / n) as f32)
        })
        .unzip()
}

impl Normalisation<'_> {
    fn channel(&self, index: usize) -> Channel {
        let inverse = self.inverse(index);
        Channel { mean: self.mean[index], inverse: inverse as f32, scale: self.scale(index), beta: self.beta[index], relu: self.relu }
    }

    fn inverse(&self, index: usize) -> f64 {
        (f64::from(self.variance[index]) + self.epsilon).sqrt().recip()
    }

    /// What a channel is multiplied by.
    pub(super) fn scale(&self, index: usize) -> f32 {
        (f64::from(self.gamma[index]) * self.inverse(index)) as f32
    }

    /// What is added to a channel after it was multiplied.
    pub(super) fn shift(&self, index: usize) -> f32 {
        (f64::from(self.beta[index]) - f64::from(self.mean[index]) * f64::from(self.gamma[index]) * self.inverse(index)) as f32
    }

    /// Normalises a batch.
    pub(super) fn apply(&self, arch: Arch, x_bchw: &[f32], maps: Maps) -> Vec<f32> {
        let mut y_bchw = vec![0.0; x_bchw.len()];
        if maps.positions == 0 {
            return y_bchw;
        }
        y_bchw.par_chunks_mut(maps.part()).zip(x_bchw.par_chunks(maps.part())).for_each(|(ys, xs)| {
            arch.dispatch(
                #[inline(always)]
                || {
                    for (index, (ys, xs)) in ys.chunks_exact_mut(maps.positions).zip(xs.chunks_exact(maps.positions)).enumerate() {
                        let channel = self.channel(index % maps.channels);
                        ys.iter_mut().zip(xs).for_each(|(y, x)| *y = channel.apply(*x));
                    }
                },
            );
        });
        y_bchw
    }

    /// Gradients where mean and variance are those of the batch.
    pub(super) fn gradients(&self, arch: Arch, x_bchw: &[f32], gradient_bchw: &[f32], maps: Maps) -> Gradients {
        let channels: Vec<Channel> = (0..maps.channels).map(|index| self.channel(index)).collect();
        let parts: Vec<Vec<(f64, f64)>> = x_bchw
            .par_chunks(maps.part())
            .zip(gradient_bchw.par_chunks(maps.part()))
            .map(|(xs, gradients)| {
                arch.dispatch(
                    #[inline(always)]
                    || {
                        let mut found = Vec::with_capacity(channels.len());
                        for (index, &channel) in channels.iter().enumerate() {
                            let (mut beta, mut gamma) = (0.0, 0.0);
                            for (xs, gradients) in maps.planes(xs, index).zip(maps.planes(gradients, index)) {
                                let plane = sums(
                                    xs,
                                    gradients,
                                    #[inline(always)]
                                    |x, gradient| {
                                        let gradient = channel.before_relu(x, gradient);
                                        (gradient, gradient * ((x - channel.mean) * channel.inverse))
                                    },
                                );
                                beta += plane.0;
                                gamma += plane.1;
                            }
                            found.push((beta, gamma));
                        }
                        found
                    },
                )
            })
            .collect();
        let (beta, gamma): (Vec<f64>, Vec<f64>) = (0..maps.channels)
            .map(|channel| parts.iter().fold((0.0, 0.0), |sum, part| (sum.0 + part[channel].0, sum.1 + part[channel].1)))
            .unzip();

        let n = maps.per_channel();
        let means: Vec<(f32, f32)> = beta.iter().zip(&gamma).map(|(beta, gamma)| ((beta / n) as f32, (gamma / n) as f32)).collect();
        let mut dx_bchw = vec![0.0; x_bchw.len()];
        let outputs = dx_bchw.par_chunks_mut(maps.part());
        let inputs = x_bchw.par_chunks(maps.part()).zip(gradient_bchw.par_chunks(maps.part()));
        outputs.zip(inputs).for_each(|(dxs, (xs, gradients))| {
            arch.dispatch(
                #[inline(always)]
                || {
                    let planes = xs.chunks_exact(maps.positions).zip(gradients.chunks_exact(maps.positions));
                    for (index, (dxs, (xs, gradients))) in dxs.chunks_exact_mut(maps.positions).zip(planes).enumerate() {
                        let channel = channels[index % maps.channels];
                        let (mean, slope) = means[index % maps.channels];
                        for ((dx, &x), &gradient) in dxs.iter_mut().zip(xs).zip(gradients) {
                            let gradient = channel.before_relu(x, gradient);
                            let normalised = (x - channel.mean) * channel.inverse;
                            *dx = channel.scale * (gradient - mean - normalised * slope);
                        }
                    }
                },
            );
        });
        let narrow = |sums: Vec<f64>| sums.into_iter().map(|sum| sum as f32).collect();
        Gradients { x_bchw: dx_bchw, gamma: narrow(gamma), beta: narrow(beta) }
    }
}
