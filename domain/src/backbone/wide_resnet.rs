//! Wide residual networks, with pre-activation units and without dropout.
//!
//! # Source
//! Zagoruyko, Komodakis: Wide Residual Networks, arXiv 1605.07146. The variant of shallow-deep networks is that of Kaya, Hong, Dumitras, arXiv
//! 1810.07052, which goes by the name of WRN-32-4 and has three stages of five units.

use super::design::{NoSuchSize, Parsed, nearest_step, whole_numbers};
use super::{Backbone, Shortcut, Unit};
use crate::layer::{Conv2d, Layer};
use crate::shape::Shape;

/// A 3x3 stem to 16 channels and three stages of 16, 32 and 64 times `width` channels, the second and third of which begin with stride 2. A last
/// norm and rectifier come before the classifier, so an exit reads a sum that is neither normalised nor rectified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WideResNet {
    /// Units of each stage.
    n_units: usize,
    width: usize,
    variant: Variant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    /// The first convolution has the stride, and where the shape changes the shortcut reads the normalised input.
    Standard,
    /// All convolutions have biases, the second one has the stride, and the shortcut reads the input as it is.
    Sdn,
}

/// One unit a stage: two convolutions in each of three units, the stem, and three shortcuts' convolutions. The classifier is not counted.
const LEAST_DEPTH: usize = 10;

/// The deepest published have 40; wide networks are meant to be shallow.
const MOST_DEPTH: usize = 64;

/// The widest published has 14.
const MOST_WIDTH: usize = 16;

const SDN: &str = "wrn-32-4-sdn";

impl WideResNet {
    /// Two halvings.
    pub(super) const LEAST_SIDE: usize = 4;

    pub(super) fn parse(name: &str) -> Parsed<Self> {
        if name == SDN {
            return Some(Ok(Self { n_units: 5, width: 4, variant: Variant::Sdn }));
        }
        let [depth, width] = whole_numbers(name.strip_prefix("wrn-")?)?;
        let nearest = (nearest_step(depth, LEAST_DEPTH, 6, MOST_DEPTH), width.clamp(1, MOST_WIDTH));
        if nearest == (depth, width) {
            return Some(Ok(Self { n_units: (depth - 4) / 6, width, variant: Variant::Standard }));
        }
        let (depth, width) = nearest;
        Some(Err(NoSuchSize {
            rule: "wide residual networks have 6n + 4 layers, from 10 to 64, and a width from 1 to 16",
            nearest: format!("wrn-{depth}-{width}"),
        }))
    }

    pub(super) fn assemble(self, name: &str, input: Shape, n_classes: usize) -> Backbone {
        let mut channels = 16;
        let mut units = vec![Unit::Sequence(vec![self.conv(input.channels, channels, 3, 1)])];
        for stage in 0..3 {
            let outputs = (16 << stage) * self.width;
            for index in 0..self.n_units {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                units.push(self.unit(channels, outputs, stride));
                channels = outputs;
            }
        }
        let mut head = norm_relu(channels);
        head.extend([Layer::GlobalAveragePool, Layer::Linear { inputs: channels, outputs: n_classes }]);
        Backbone::plain(name, input, units, head)
    }

    fn unit(self, inputs: usize, outputs: usize, stride: usize) -> Unit {
        let changes = stride != 1 || inputs != outputs;
        let (first, second, shares) = match self.variant {
            Variant::Standard => (stride, 1, changes),
            Variant::Sdn => (1, stride, false),
        };
        let (before, mut body) = if shares { (norm_relu(inputs), Vec::new()) } else { (Vec::new(), norm_relu(inputs)) };
        body.push(self.conv(inputs, outputs, 3, first));
        body.extend(norm_relu(outputs));
        body.push(self.conv(outputs, outputs, 3, second));
        let shortcut = if changes { Shortcut::Projection(vec![self.conv(inputs, outputs, 1, stride)]) } else { Shortcut::Identity };
        Unit::Residual { before, body, shortcut, after: Vec::new() }
    }

    fn conv(self, inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Layer {
        Layer::Conv2d(Conv2d { bias: self.variant == Variant::Sdn, ..Conv2d::new(inputs, outputs, kernel, stride) })
    }
}

fn norm_relu(channels: usize) -> Vec<Layer> {
    vec![Layer::BatchNorm { channels }, Layer::Relu]
}
