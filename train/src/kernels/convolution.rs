//! Convolutions of all channels with all channels, and their gradients.
//!
//! Nothing is copied into a matrix first where rows are wide enough: the products read the padded image in place. Work is cut into tasks by
//! shape alone, each task writes what no other does, and partial sums are added in the order of the images; so results do not depend on the
//! number of threads.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::gather::{Gather, Plan, Scratch, TILE, images_per_task};
use super::product::{self, Block, EVERY_OTHER, NEXT, ROWS, blocks, lanes, row_sums, sums};

/// Parts of a batch whose weight gradients are summed apart, at most.
const MAX_PARTS: usize = 32;

/// Numbers in all the parts' weight gradients together, at most: 64 MiB.
const MAX_PARTIAL_NUMBERS: usize = 1 << 24;

/// A convolution without groups, and the shape of what it is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Convolution {
    pub(super) n_images: usize,
    /// Input channels.
    pub(super) inputs: usize,
    /// Output channels.
    pub(super) outputs: usize,
    /// Height and width of the input.
    pub(super) size: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    /// Zeros before and after, vertically and horizontally.
    pub(super) padding: [(usize, usize); 2],
}

/// What is done to an output value after the sum.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Finish<'a> {
    /// Added, one a channel.
    pub(super) shift: Option<&'a [f32]>,
    /// Whether negative values become zero.
    pub(super) relu: bool,
}

/// `max(x, 0)` that keeps NaN.
#[inline(always)]
pub(super) fn relu(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
}

/// A gather, the weights of its taps, and where its grid lies in the output map.
struct Phase {
    plan: Plan,
    /// `[source channel x tap, output channel]`.
    weights: Vec<f32>,
    origin: [usize; 2],
    step: [usize; 2],
}

impl Convolution {
    /// Height and width of the output; `None` where the kernel does not fit.
    pub(super) fn output(&self) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let (before, after) = self.padding[axis];
            let reach = self.dilation[axis] * (self.kernel[axis].checked_sub(1)?) + 1;
            Some((self.size[axis] + before + after).checked_sub(reach)? / self.stride[axis] + 1)
        };
        Some([along(0)?, along(1)?])
    }

    fn n_taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// How output positions read the input.
    fn gather(&self) -> Gather {
        let distance = |axis: usize, index: usize| (index * self.dilation[axis]) as isize - self.padding[axis].0 as isize;
        let taps = (0..self.kernel[0]).flat_map(|y| (0..self.kernel[1]).map(move |x| [distance(0, y), distance(1, x)]));
        Gather {
            channels: self.inputs,
            source: self.size,
            grid: self.output().expect("a convolution that was applied"),
            step: self.stride,
            taps: taps.collect(),
        }
    }

    /// How input positions read the gradient of the output. With a stride, input rows that are a stride apart meet the same kernel rows, and
    /// others other ones: a phase for each remainder.
    fn phases(&self, weights: &[f32], n_images: usize) -> Vec<Phase> {
        let [n_rows, n_columns] = self.stride;
        let remainders = (0..n_rows).flat_map(|y| (0..n_columns).map(move |x| [y, x]));
        remainders.filter_map(|remainder| self.phase(remainder, weights, n_images)).collect()
    }

    fn phase(&self, remainder: [usize; 2], weights: &[f32], n_images: usize) -> Option<Phase> {
        let along = |axis: usize| {
            let stride = self.stride[axis] as isize;
            (0..self.kernel[axis]).filter_map(move |index| {
                let distance = (remainder[axis] + self.padding[axis].0) as isize - (index * self.dilation[axis]) as isize;
                (distance.rem_euclid(stride) == 0).then_some((index, distance.div_euclid(stride)))
            })
        };
        let taps: Vec<(usize, [isize; 2])> =
            along(0).flat_map(|(y, dy)| along(1).map(move |(x, dx)| (y * self.kernel[1] + x, [dy, dx]))).collect();
        let left = |axis: usize| self.size[axis].saturating_sub(remainder[axis]).div_ceil(self.stride[axis]);
        let grid = [left(0), left(1)];
        if taps.is_empty() || grid.contains(&0) {
            return None;
        }
        let n_taps = self.n_taps();
        let mut flipped = Vec::with_capacity(self.outputs * taps.len() * self.inputs);
        for output in 0..self.outputs {
            for (tap, _) in &taps {
                flipped.extend((0..self.inputs).map(|input| weights[(output * self.inputs + input) * n_taps + tap]));
            }
        }
        let gather = Gather {
            channels: self.outputs,
            source: self.output()?,
            grid,
            step: [1, 1],
            taps: taps.into_iter().map(|(_, tap)| tap).collect(),
        };
        Some(Phase { plan: Plan::new(gather, n_images), weights: flipped, origin: remainder, step: self.stride })
    }

    /// Applies the convolution.
    ///
    /// # Shapes
    /// `x_bchw`, weights `[outputs, inputs, kernel height, kernel width]` -> `[batch, outputs, height, width]`.
    pub(super) fn forward(&self, arch: Arch, x_bchw: &[f32], weights: &[f32], finish: Finish) -> Vec<f32> {
        let gather = self.gather();
        let map = gather.grid;
        let n_images = images_per_task(map[0] * map[1]);
        let n_offsets = self.inputs * self.n_taps();
        let transposed = transpose(weights, self.outputs, n_offsets);
        let phase = Phase { plan: Plan::new(gather, n_images), weights: transposed, origin: [0, 0], step: [1, 1] };
        Correlation { phases: &[phase], n_images, sources: self.inputs, source: self.size, targets: self.outputs, map, finish }.run(
            arch,
            x_bchw,
            self.n_images,
        )
    }

    /// The gradient of the input.
    ///
    /// # Shapes
    /// The output's gradient and the weights -> the input's.
    pub(super) fn input_gradient(&self, arch: Arch, gradient_bchw: &[f32], weights: &[f32]) -> Vec<f32> {
        let source = self.output().expect("a convolution that was applied");
        let n_images = images_per_task(self.size[0] * self.size[1]);
        let phases = self.phases(weights, n_images);
        let finish = Finish::default();
        Correlation { phases: &phases, n_images, sources: self.outputs, source, targets: self.inputs, map: self.size, finish }.run(
            arch,
            gradient_bchw,
            self.n_images,
        )
    }

    /// The gradient of the weights.
    ///
    /// # Shapes
    /// The input and the output's gradient -> the weights'.
    pub(super) fn weight_gradient(&self, arch: Arch, x_bchw: &[f32], gradient_bchw: &[f32]) -> Vec<f32> {
        let gather = self.gather();
        let positions = gather.grid[0] * gather.grid[1];
        let n_task = images_per_task(positions);
        let plan = Plan::new(gather, n_task);
        let n_offsets = plan.offsets.len();
        let most = (MAX_PARTIAL_NUMBERS / (n_offsets * self.outputs).max(1)).clamp(1, MAX_PARTS);
        let n_part = self.n_images.div_ceil(most).next_multiple_of(n_task);
        let input = self.inputs * self.size[0] * self.size[1];
        let parts: Vec<Vec<f32>> = x_bchw
            .par_chunks((n_part * input).max(1))
            .zip(gradient_bchw.par_chunks((n_part * self.outputs * positions).max(1)))
            .map(|(x_bchw, gradient_bchw)| {
                arch.dispatch(PartialGradient { plan: &plan, outputs: self.outputs, input, x_bchw, gradient_bchw })
            })
            .collect();
        let sum = parts.into_iter().reduce(|mut sum, part| {
            sum.iter_mut().zip(&part).for_each(|(sum, part)| *sum += part);
            sum
        });
        sum.map_or_else(|| vec![0.0; n_offsets * self.outputs], |sum| transpose(&sum, n_offsets, self.outputs))
    }
}

/// `[rows, columns]` -> `[columns, rows]`.
fn transpose(values: &[f32], n_rows: usize, n_columns: usize) -> Vec<f32> {
    let mut transposed = vec![0.0; values.len()];
    for (row, values) in values.chunks_exact(n_columns.max(1)).enumerate() {
        transposed.iter_mut().skip(row).step_by(n_rows.max(1)).zip(values).for_each(|(to, from)| *to = *from);
    }
    transposed
}

/// Sums over taps and source channels for every position of a batch's maps.
struct Correlation<'a> {
    phases: &'a [Phase],
    /// Images of a task.
    n_images: usize,
    /// Channels of the source.
    sources: usize,
    /// Height and width of the source.
    source: [usize; 2],
    /// Channels of the target.
    targets: usize,
    /// Height and width of the target.
    map: [usize; 2],
    finish: Finish<'a>,
}

impl Correlation<'_> {
    fn run(&self, arch: Arch, source: &[f32], n_images: usize) -> Vec<f32> {
        let source_image = self.sources * self.source[0] * self.source[1];
        let target_image = self.targets * self.map[0] * self.map[1];
        let mut target = vec![0.0; n_images * target_image];
        let weights: Vec<Vec<f32>> = self.phases.iter().map(|phase| arch.dispatch(Packing { phase, channels: self.targets })).collect();
        target
            .par_chunks_mut((self.n_images * target_image).max(1))
            .zip(source.par_chunks((self.n_images * source_image).max(1)))
            .for_each_init(Scratch::default, |scratch, (target, source)| {
                arch.dispatch(Task { correlation: self, weights: &weights, source, target, scratch });
            });
        target
    }
}

/// Weights in the order that the products read them: block by block, offset by offset, padded to whole vectors.
struct Packing<'a> {
    phase: &'a Phase,
    channels: usize,
}

impl WithSimd for Packing<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Vec<f32> {
        let n_offsets = self.phase.plan.offsets.len();
        let mut packed = Vec::with_capacity(n_offsets * product::padded::<S>(self.channels));
        for block in blocks::<S>(self.channels) {
            let width = block.n_vectors * S::F32_LANES;
            for row in self.phase.weights.chunks_exact(self.channels) {
                let present = &row[block.first..row.len().min(block.first + width)];
                packed.extend_from_slice(present);
                packed.resize(packed.len() + width - present.len(), 0.0);
            }
        }
        packed
    }
}

/// A task's share of a correlation.
struct Task<'a> {
    correlation: &'a Correlation<'a>,
    /// Packed, one list a phase.
    weights: &'a [Vec<f32>],
    source: &'a [f32],
    target: &'a mut [f32],
    scratch: &'a mut Scratch,
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { correlation, weights, source, target, scratch } = self;
        for (phase, weights) in correlation.phases.iter().zip(weights) {
            let values = phase.plan.values(source, scratch);
            let (weights, _) = S::as_simd_f32s(weights);
            let n_offsets = phase.plan.offsets.len();
            for block in blocks::<S>(correlation.targets) {
                let start = block.first / S::F32_LANES * n_offsets;
                let weights = &weights[start..][..n_offsets * block.n_vectors];
                let task = BlockTask { correlation, phase, block, values, target };
                match (block.n_vectors, phase.plan.stride) {
                    (1, 1) => task.run::<S, 1, NEXT>(simd, weights),
                    (1, _) => task.run::<S, 1, EVERY_OTHER>(simd, weights),
                    (_, 1) => task.run::<S, 2, NEXT>(simd, weights),
                    (_, _) => task.run::<S, 2, EVERY_OTHER>(simd, weights),
                }
            }
        }
    }
}

/// One block of a task's target channels.
struct BlockTask<'a> {
    correlation: &'a Correlation<'a>,
    phase: &'a Phase,
    block: Block,
    values: &'a [f32],
    target: &'a mut [f32],
}

impl BlockTask<'_> {
    #[inline(always)]
    fn run<S: Simd, const VECTORS: usize, const REACH: usize>(self, simd: S, weights: &[S::f32s]) {
        let Self { correlation: &Correlation { targets, map, finish, .. }, phase, block, values, target } = self;
        let plan = &phase.plan;
        let plane = map[0] * map[1];
        let positions = plan.positions();
        let n_present = target.len() / (targets * plane).max(1) * positions;
        // Of the grid in the map; the plan may have it as a single row.
        let columns = map[1].saturating_sub(phase.origin[1]).div_ceil(phase.step[1]);
        let width = VECTORS * S::F32_LANES;
        let channels = width.min(targets - block.first);
        // Where a position lies in the target's first channel of the block.
        let place = |position: usize| {
            let (image, position) = (position / positions, position % positions);
            let (y, x) = (position / columns, position % columns);
            let within = (phase.origin[0] + y * phase.step[0]) * map[1] + phase.origin[1] + x * phase.step[1];
            (image * targets + block.first) * plane + within
        };
        let mut vectors = [[simd.splat_f32s(0.0); VECTORS]; TILE];
        for tile in plan.tiles.iter().take_while(|tile| tile.first < n_present) {
            sums::<S, VECTORS, REACH>(simd, &values[tile.start..], &plan.offsets, weights, &mut vectors);
            let lanes = lanes::<S, VECTORS, TILE>(&vectors);
            let finished = |channel: usize, value: f32| {
                let value = finish.shift.map_or(value, |shift| value + shift[block.first + channel]);
                if finish.relu { relu(value) } else { value }
            };
            if plan.in_rows() && phase.step == [1, 1] {
                let start = place(tile.first);
                for channel in 0..channels {
                    let row = &mut target[start + channel * plane..][..TILE];
                    for position in 0..TILE {
                        row[position] = finished(channel, lanes[position * width + channel]);
                    }
                }
            } else {
                let n = TILE.min(n_present - tile.first);
                for (position, lanes) in lanes.chunks_exact(width).enumerate().take(n) {
                    let start = place(tile.first + position);
                    for (channel, &value) in lanes[..channels].iter().enumerate() {
                        target[start + channel * plane] = finished(channel, value);
                    }
                }
            }
        }
    }
}

/// A part of a batch's weight gradient: `[offset, output]`.
struct PartialGradient<'a> {
    plan: &'a Plan,
    outputs: usize,
    /// Numbers of an input image.
    input: usize,
    x_bchw: &'a [f32],
    gradient_bchw: &'a [f32],
}

impl WithSimd for PartialGradient<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
        let Self { plan, outputs, input, x_bchw, gradient_bchw } = self;
        let n_offsets = plan.offsets.len();
        let positions = plan.positions();
        let mut offsets = plan.offsets.clone();
        // The last group of offsets is filled up with ones whose sums nobody reads.
        offsets.resize(n_offsets.next_multiple_of(ROWS), 0);
        let (groups, _) = offsets.as_chunks::<ROWS>();
        let mut total = vec![0.0; n_offsets * outputs];
        let mut scratch = Scratch::default();
        let mut gradients = Vec::new();
        let mut one = [[simd.splat_f32s(0.0); 1]; ROWS];
        let mut two = [[simd.splat_f32s(0.0); 2]; ROWS];
        let tasks = x_bchw.chunks((plan.n_images * input).max(1)).zip(gradient_bchw.chunks((plan.n_images * outputs * positions).max(1)));
        for (x_bchw, gradient_bchw) in tasks {
            let values = plan.values(x_bchw, &mut scratch);
            let n_present = gradient_bchw.len() / (outputs * positions).max(1) * positions;
            let n_tiles = plan.tiles.partition_point(|tile| tile.first < n_present);
            let tiles = &plan.tiles[..n_tiles];
            for block in blocks::<S>(outputs) {
                let width = block.n_vectors * S::F32_LANES;
                let channels = width.min(outputs - block.first);
                gradients.clear();
                gradients.resize(n_tiles * TILE * width, 0.0);
                for (tile, rows) in tiles.iter().zip(gradients.chunks_exact_mut(TILE * width)) {
                    let n = TILE.min(n_present - tile.first);
                    if plan.in_rows() {
                        let (image, position) = (tile.first / positions, tile.first % positions);
                        let start = (image * outputs + block.first) * positions + position;
                        for channel in 0..channels {
                            let values = &gradient_bchw[start + channel * positions..][..TILE];
                            for position in 0..TILE {
                                rows[position * width + channel] = values[position];
                            }
                        }
                        rows[..tile.shared * width].fill(0.0);
                    } else {
                        for (lane, rows) in rows.chunks_exact_mut(width).enumerate().take(n) {
                            let (image, position) = ((tile.first + lane) / positions, (tile.first + lane) % positions);
                            let start = (image * outputs + block.first) * positions + position;
                            for (channel, row) in rows[..channels].iter_mut().enumerate() {
                                *row = gradient_bchw[start + channel * positions];
                            }
                        }
                    }
                }
                let (gradients, _) = S::as_simd_f32s(&gradients);
                for (group, rows) in groups.iter().zip(total.chunks_mut(ROWS * outputs)) {
                    match (block.n_vectors, plan.stride) {
                        (1, 1) => row_sums::<S, 1, NEXT>(simd, values, tiles, group, gradients, &mut one),
                        (1, _) => row_sums::<S, 1, EVERY_OTHER>(simd, values, tiles, group, gradients, &mut one),
                        (_, 1) => row_sums::<S, 2, NEXT>(simd, values, tiles, group, gradients, &mut two),
                        (_, _) => row_sums::<S, 2, EVERY_OTHER>(simd, values, tiles, group, gradients, &mut two),
                    }
                    let lanes = if block.n_vectors == 1 { lanes::<S, 1, ROWS>(&one) } else { lanes::<S, 2, ROWS>(&two) };
                    for (row, lanes) in rows.chunks_exact_mut(outputs).zip(lanes.chunks_exact(width)) {
                        let row = &mut row[block.first..][..channels];
                        row.iter_mut().zip(lanes).for_each(|(total, sum)| *total += sum);
                    }
                }
            }
        }
        total
    }
}
