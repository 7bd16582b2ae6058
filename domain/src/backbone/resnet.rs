//! Residual networks.
//!
//! # Source
//! He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, arXiv 1512.03385: section 4.2 for three stages, table 1 for four.

use super::design::{NoSuchSize, Parsed, nearest_step, whole_numbers};
use super::{Backbone, Shortcut, Unit};
use crate::layer::{Layer, conv_norm_relu};
use crate::shape::Shape;

/// For small images: a 3x3 stem to 16 channels and three stages of 16, 32 and 64 channels, the second and third of which begin with stride 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ThreeStages {
    /// Weighted layers: two a unit, the stem and the classifier.
    depth: usize,
    /// Where the shape changes: a 1x1 convolution with batch norm (option B), or every second position between zero channels (option A).
    projects: bool,
}

const THREE_STAGES: [usize; 3] = [16, 32, 64];

/// One unit a stage.
const LEAST_DEPTH: usize = 8;

/// The deepest of the paper but one: that of 1202 layers overfitted.
const MOST_DEPTH: usize = 110;

/// Marks projection shortcuts in a name.
const PROJECTION_SUFFIX: &str = "-b";

impl ThreeStages {
    /// Two halvings.
    pub(super) const LEAST_SIDE: usize = 4;

    pub(super) fn parse(name: &str) -> Parsed<Self> {
        let (plain, projects) = name.strip_suffix(PROJECTION_SUFFIX).map_or((name, false), |plain| (plain, true));
        let [depth] = whole_numbers(plain.strip_prefix("resnet")?)?;
        let nearest = nearest_step(depth, LEAST_DEPTH, 6, MOST_DEPTH);
        if nearest == depth {
            return Some(Ok(Self { depth, projects }));
        }
        let suffix = if projects { PROJECTION_SUFFIX } else { "" };
        Some(Err(NoSuchSize {
            rule: "residual networks of three stages have 6n + 2 layers, from 8 to 110",
            nearest: format!("resnet{nearest}{suffix}"),
        }))
    }

    pub(super) fn assemble(self, name: &str, input: Shape, n_classes: usize) -> Backbone {
        let mut channels = THREE_STAGES[0];
        let mut units = vec![Unit::Sequence(conv_norm_relu(input.channels, channels, 3, 1))];
        for stage_channels in THREE_STAGES {
            for _ in 0..(self.depth - 2) / 6 {
                let stride = if channels == stage_channels { 1 } else { 2 };
                units.push(self.unit(channels, stage_channels, stride));
                channels = stage_channels;
            }
        }
        let head = vec![Layer::GlobalAveragePool, Layer::Linear { inputs: channels, outputs: n_classes }];
        Backbone::plain(name, input, units, head)
    }

    fn unit(self, inputs: usize, outputs: usize, stride: usize) -> Unit {
        let shortcut = match (stride, self.projects) {
            (1, _) => Shortcut::Identity,
            (_, true) => projection(inputs, outputs, stride),
            (_, false) => Shortcut::PadSubsample { stride, pad: (outputs - inputs) / 2 },
        };
        rectified(basic(inputs, outputs, stride), shortcut)
    }
}

/// Four stages of 64, 128, 256 and 512 channels, whose second to fourth begin with stride 2; shortcuts of option B.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FourStages {
    shape: UnitShape,
    /// Units of each stage.
    n_units: [usize; 4],
    stem: Stem,
}

/// How the residual function is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnitShape {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3 with the stride, and 1x1 to four times the stage's channels. The paper strides in the first; public weights are of this variant.
    Bottleneck,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stem {
    /// A 3x3 convolution that keeps the image's size.
    Small,
    /// A 7x7 convolution and a 3x3 maximum, both with stride 2.
    Large,
}

const FOUR_STAGES: [usize; 4] = [64, 128, 256, 512];

impl FourStages {
    pub(super) fn parse(name: &str) -> Parsed<Self> {
        let basic = |n_units, stem| Some(Ok(Self { shape: UnitShape::Basic, n_units, stem }));
        match name {
            "resnet18" => basic([2, 2, 2, 2], Stem::Small),
            "resnet34" => basic([3, 4, 6, 3], Stem::Small),
            "resnet18-imagenet" => basic([2, 2, 2, 2], Stem::Large),
            "resnet34-imagenet" => basic([3, 4, 6, 3], Stem::Large),
            "resnet50-imagenet" => Some(Ok(Self { shape: UnitShape::Bottleneck, n_units: [3, 4, 6, 3], stem: Stem::Large })),
            _ => None,
        }
    }

    /// Three halvings after the stem, which makes two or none.
    pub(super) const fn least_side(self) -> usize {
        match self.stem {
            Stem::Small => 8,
            Stem::Large => 32,
        }
    }

    pub(super) fn assemble(self, name: &str, input: Shape, n_classes: usize) -> Backbone {
        let mut channels = FOUR_STAGES[0];
        let stem = match self.stem {
            Stem::Small => conv_norm_relu(input.channels, channels, 3, 1),
            Stem::Large => {
                let mut layers = conv_norm_relu(input.channels, channels, 7, 2);
                layers.push(Layer::MaxPool { kernel: 3, stride: 2, padding: 1 });
                layers
            }
        };
        let mut units = vec![Unit::Sequence(stem)];
        for (stage, (stage_channels, n_units)) in FOUR_STAGES.into_iter().zip(self.n_units).enumerate() {
            for index in 0..n_units {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                let (body, outputs) = match self.shape {
                    UnitShape::Basic => (basic(channels, stage_channels, stride), stage_channels),
                    UnitShape::Bottleneck => (bottleneck(channels, stage_channels, stride), 4 * stage_channels),
                };
                let shortcut = if stride == 1 && channels == outputs { Shortcut::Identity } else { projection(channels, outputs, stride) };
                units.push(rectified(body, shortcut));
                channels = outputs;
            }
        }
        let head = vec![Layer::GlobalAveragePool, Layer::Linear { inputs: channels, outputs: n_classes }];
        Backbone::plain(name, input, units, head)
    }
}

/// The rectifier of the sum.
fn rectified(body: Vec<Layer>, shortcut: Shortcut) -> Unit {
    Unit::Residual { before: Vec::new(), body, shortcut, after: vec![Layer::Relu] }
}

fn basic(inputs: usize, outputs: usize, stride: usize) -> Vec<Layer> {
    let mut layers = conv_norm_relu(inputs, outputs, 3, stride);
    layers.extend([Layer::conv3x3(outputs, outputs, 1), Layer::BatchNorm { channels: outputs }]);
    layers
}

fn bottleneck(inputs: usize, middle: usize, stride: usize) -> Vec<Layer> {
    let mut layers = conv_norm_relu(inputs, middle, 1, 1);
    layers.extend(conv_norm_relu(middle, middle, 3, stride));
    layers.extend([Layer::conv1x1(middle, 4 * middle, 1), Layer::BatchNorm { channels: 4 * middle }]);
    layers
}

fn projection(inputs: usize, outputs: usize, stride: usize) -> Shortcut {
    Shortcut::Projection(vec![Layer::conv1x1(inputs, outputs, stride), Layer::BatchNorm { channels: outputs }])
}
