//! Multi-scale dense networks, published with exits of their own.
//!
//! # Source
//! Huang, Chen, Li, Wu, van der Maaten, Weinberger: Multi-Scale Dense Networks for Resource Efficient Image Classification, arXiv 1703.09844. Where
//! the paper leaves something open, this counts like the public kalviny/MSDNet-PyTorch with its defaults: bottlenecks, pruning by `max` and
//! a reduction of one half.

use super::design::{NoSuchSize, Parsed, whole_numbers};
use super::{Backbone, JoinedMap, OwnExit, Part, Unit};
use crate::layer::{Conv2d, Layer, conv_norm_relu};
use crate::shape::Shape;

/// Maps at several scales, each half as large as the one before, go through layers that join new channels to every map: half of them from the map
/// itself, half from the next finer map. Layers come in blocks, and after each block an exit reads the coarsest map. As there are no exits
/// on finer maps, these are given up one by one on the way, and where one is, a 1x1 convolution halves the channels of those that are left.
///
/// A unit is the stem, a layer, or such a halving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MsdNet {
    /// Blocks, and so exits.
    n_blocks: usize,
    /// Layers of the first block.
    base: usize,
    /// Layers of every other block; with `grows`, one more than so many times its index.
    step: usize,
    grows: bool,
    images: Images,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Images {
    Small,
    Large,
}

/// What the published networks for each kind of image agree in.
struct Sizes {
    /// Channels of the stem, to be multiplied by a scale's factor, as the growth is.
    channels: usize,
    /// Channels that a layer adds.
    growth: usize,
    /// One for each scale, the finest first. Bottlenecks let through as many times the new channels as the factor of the map that they read.
    factors: &'static [usize],
    /// Channels inside an exit; as many as its map has where nothing is said.
    exit_channels: Option<usize>,
}

const SMALL: Sizes = Sizes { channels: 16, growth: 6, factors: &[1, 2, 4], exit_channels: Some(128) };
const LARGE: Sizes = Sizes { channels: 32, growth: 16, factors: &[1, 2, 4, 4], exit_channels: None };

/// One block makes no multi-exit network.
const LEAST_BLOCKS: usize = 2;
const MOST_BLOCKS: usize = 20;
/// More layers a block than any network was published with.
const MOST_LAYERS: usize = 16;

impl MsdNet {
    pub(super) fn parse(name: &str) -> Parsed<Self> {
        let sizes = name.strip_prefix("msdnet-")?;
        let (sizes, suffix) = match (sizes.strip_suffix("-linear"), sizes.strip_suffix("-imagenet")) {
            (Some(sizes), _) => (sizes, "-linear"),
            (_, Some(sizes)) => (sizes, "-imagenet"),
            (None, None) => (sizes, ""),
        };
        let [n_blocks, base, step] = whole_numbers(sizes)?;
        let nearest = [n_blocks.clamp(LEAST_BLOCKS, MOST_BLOCKS), base.clamp(1, MOST_LAYERS), step.clamp(1, MOST_LAYERS)];
        if nearest == [n_blocks, base, step] {
            let images = if suffix == "-imagenet" { Images::Large } else { Images::Small };
            return Some(Ok(Self { n_blocks, base, step, grows: suffix == "-linear", images }));
        }
        let [n_blocks, base, step] = nearest;
        Some(Err(NoSuchSize {
            rule: "multi-scale networks have 2 to 20 blocks, of 1 to 16 layers in the first and 1 to 16 in each other",
            nearest: format!("msdnet-{n_blocks}-{base}-{step}{suffix}"),
        }))
    }

    const fn sizes(self) -> &'static Sizes {
        match self.images {
            Images::Small => &SMALL,
            Images::Large => &LARGE,
        }
    }

    /// A halving from scale to scale, two in every exit, and two in the stem for large images.
    pub(super) const fn least_side(self) -> usize {
        match self.images {
            Images::Small => 16,
            Images::Large => 128,
        }
    }

    pub(super) fn assemble(self, name: &str, input: Shape, n_classes: usize) -> Backbone {
        let Sizes { mut channels, growth, factors, .. } = *self.sizes();
        let mut units = vec![self.stem(input.channels)];
        let mut stage_ends = Vec::with_capacity(self.n_blocks);
        let mut exits = Vec::with_capacity(self.n_blocks);
        let blocks: Vec<usize> = (0..self.n_blocks).map(|block| self.n_layers(block)).collect();
        // Scales are given up one by one after equal parts of the layers.
        let interval = blocks.iter().sum::<usize>().div_ceil(factors.len());
        let (mut n_layers, mut first) = (0, 0);
        for in_block in blocks {
            for _ in 0..in_block {
                let dropped = n_layers / interval;
                units.push(self.layer(channels, first, dropped));
                channels += growth;
                if dropped > first {
                    units.push(self.halving(channels, dropped));
                    channels /= 2;
                }
                first = dropped;
                n_layers += 1;
            }
            stage_ends.push(units.len() - 1);
            exits.push(OwnExit { unit: units.len() - 1, layers: self.exit(channels, n_classes) });
        }
        let head = exits.pop().expect("there are at least two blocks").layers;
        Backbone { name: name.to_owned(), input, units, stage_ends, head, own_exits: exits }
    }

    const fn n_layers(self, block: usize) -> usize {
        match block {
            0 => self.base,
            _ if self.grows => self.step * block + 1,
            _ => self.step,
        }
    }

    /// The finest map from the image, each other from the one before.
    fn stem(self, inputs: usize) -> Unit {
        let Sizes { channels, factors, .. } = self.sizes();
        let of_scale = |scale: usize| channels * factors[scale];
        let finest = match self.images {
            Images::Small => conv_norm_relu(inputs, of_scale(0), 3, 1),
            Images::Large => vec![
                Layer::Conv2d(Conv2d { bias: true, ..Conv2d::new(inputs, of_scale(0), 7, 2) }),
                Layer::BatchNorm { channels: of_scale(0) },
                Layer::Relu,
                Layer::MaxPool { kernel: 3, stride: 2, padding: 1 },
            ],
        };
        let coarser =
            (1..factors.len()).map(|scale| Part::of_output(scale - 1, conv_norm_relu(of_scale(scale - 1), of_scale(scale), 3, 2)));
        let parts = std::iter::once(Part::of_input(0, finest)).chain(coarser);
        Unit::Joined(parts.map(|part| JoinedMap { parts: vec![part] }).collect())
    }

    /// Reads the scales from `first` on and puts out those from `dropped` on, which is `first` or the one after.
    fn layer(self, channels: usize, first: usize, dropped: usize) -> Unit {
        let Sizes { growth, factors, .. } = *self.sizes();
        let map = |scale: usize| {
            let new = growth * factors[scale];
            let own = |n_new| Part::of_input(scale - first, bottlenecked(channels, factors[scale], n_new, 1));
            let mut parts = vec![Part::of_input(scale - first, Vec::new())];
            if scale == first {
                parts.push(own(new));
            } else {
                parts.push(Part::of_input(scale - 1 - first, bottlenecked(channels, factors[scale - 1], new / 2, 2)));
                parts.push(own(new / 2));
            }
            JoinedMap { parts }
        };
        Unit::Joined((dropped..factors.len()).map(map).collect())
    }

    /// Halves the channels of the scales from `first` on.
    fn halving(self, channels: usize, first: usize) -> Unit {
        let factors = &self.sizes().factors[first..];
        let maps = factors.iter().enumerate().map(|(index, factor)| {
            let layers = conv_norm_relu(channels * factor, channels / 2 * factor, 1, 1);
            JoinedMap { parts: vec![Part::of_input(index, layers)] }
        });
        Unit::Joined(maps.collect())
    }

    /// Two halvings and a linear layer on what is left. Published networks average over windows of 2x2, which is all that is left of their inputs; the
    /// mean over all positions is the same there, and defined for every input.
    fn exit(self, channels: usize, n_classes: usize) -> Vec<Layer> {
        let Sizes { factors, exit_channels, .. } = self.sizes();
        let inputs = channels * factors[factors.len() - 1];
        let middle = exit_channels.unwrap_or(inputs);
        let mut layers = conv_norm_relu(inputs, middle, 3, 2);
        layers.extend(conv_norm_relu(middle, middle, 3, 2));
        layers.extend([Layer::GlobalAveragePool, Layer::Linear { inputs: middle, outputs: n_classes }]);
        layers
    }
}

/// `outputs` new channels from a map of `channels` times `factor`, through a bottleneck that is never wider than the map.
fn bottlenecked(channels: usize, factor: usize, outputs: usize, stride: usize) -> Vec<Layer> {
    let inputs = channels * factor;
    let middle = inputs.min(factor * outputs);
    let mut layers = conv_norm_relu(inputs, middle, 1, 1);
    layers.extend(conv_norm_relu(middle, outputs, 3, stride));
    layers
}
