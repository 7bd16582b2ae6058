//! Densely connected networks with bottlenecks and compression, without dropout.
//!
//! # Source
//! Huang, Liu, van der Maaten, Weinberger: Densely Connected Convolutional Networks, arXiv 1608.06993, section 3, DenseNet-BC for CIFAR.

use super::design::{NoSuchSize, Parsed, nearest_step, whole_numbers};
use super::{Backbone, JoinedMap, Part, Unit};
use crate::layer::Layer;
use crate::shape::Shape;

/// A 3x3 stem to twice the growth and three blocks of dense layers, between which a 1x1 convolution and a 2x2 mean halve channels and sides.
///
/// A unit is a dense layer or a transition; after it an exit reads everything that the block has joined so far, before the next layer's norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DenseNet {
    /// Weighted layers: two a dense layer, the stem, two transitions and the classifier.
    depth: usize,
    /// Channels that every dense layer adds.
    growth: usize,
}

const N_BLOCKS: usize = 3;

/// One dense layer a block.
const LEAST_DEPTH: usize = 10;

/// The deepest of the paper.
const MOST_DEPTH: usize = 250;

/// The paper's widest network has 40.
const MOST_GROWTH: usize = 48;

/// How many times the growth a bottleneck lets through.
const BOTTLENECK: usize = 4;

impl DenseNet {
    /// Two halvings.
    pub(super) const LEAST_SIDE: usize = 4;

    pub(super) fn parse(name: &str) -> Parsed<Self> {
        let [depth, growth] = whole_numbers(name.strip_prefix("densenet-bc-")?)?;
        let nearest = (nearest_step(depth, LEAST_DEPTH, 6, MOST_DEPTH), growth.clamp(1, MOST_GROWTH));
        if nearest == (depth, growth) {
            return Some(Ok(Self { depth, growth }));
        }
        let (depth, growth) = nearest;
        Some(Err(NoSuchSize {
            rule: "densely connected networks have 6n + 4 layers, from 10 to 250, and a growth from 1 to 48",
            nearest: format!("densenet-bc-{depth}-{growth}"),
        }))
    }

    pub(super) fn assemble(self, name: &str, input: Shape, n_classes: usize) -> Backbone {
        let mut channels = 2 * self.growth;
        let mut units = vec![Unit::Sequence(vec![Layer::conv3x3(input.channels, channels, 1)])];
        for block in 0..N_BLOCKS {
            if block > 0 {
                units.push(transition(channels, channels / 2));
                channels /= 2;
            }
            for _ in 0..(self.depth - 4) / (2 * N_BLOCKS) {
                units.push(self.dense(channels));
                channels += self.growth;
            }
        }
        let mut head = vec![Layer::BatchNorm { channels }, Layer::Relu];
        head.extend([Layer::GlobalAveragePool, Layer::Linear { inputs: channels, outputs: n_classes }]);
        Backbone::plain(name, input, units, head)
    }

    /// The input, joined by `growth` channels made from all of it.
    fn dense(self, inputs: usize) -> Unit {
        let middle = BOTTLENECK * self.growth;
        let body = vec![
            Layer::BatchNorm { channels: inputs },
            Layer::Relu,
            Layer::conv1x1(inputs, middle, 1),
            Layer::BatchNorm { channels: middle },
            Layer::Relu,
            Layer::conv3x3(middle, self.growth, 1),
        ];
        Unit::Joined(vec![JoinedMap { parts: vec![Part::of_input(0, Vec::new()), Part::of_input(0, body)] }])
    }
}

fn transition(inputs: usize, outputs: usize) -> Unit {
    Unit::Sequence(vec![
        Layer::BatchNorm { channels: inputs },
        Layer::Relu,
        Layer::conv1x1(inputs, outputs, 1),
        Layer::AveragePool { kernel: 2, stride: 2 },
    ])
}
