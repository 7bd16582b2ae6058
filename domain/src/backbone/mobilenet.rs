//! MobileNets, without dropout.
//!
//! # Source
//! Howard et al.: MobileNets, arXiv 1704.04861, table 1; Sandler et al.: MobileNetV2, arXiv 1801.04381, table 2. For small images the first
//! strides are left out: in version 1 as in shallow-deep networks (arXiv 1810.07052), in version 2 as in chenyaofo/pytorch-cifar-models.

use super::design::Parsed;
use super::{Backbone, Shortcut, Unit};
use crate::layer::{Layer, conv_norm_relu};
use crate::shape::Shape;

/// Images that a network is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Images {
    Small,
    Large,
}

impl Images {
    /// Stride of the stem.
    const fn stem_stride(self) -> usize {
        match self {
            Self::Small => 1,
            Self::Large => 2,
        }
    }
}

/// Version 1: a stem and thirteen units of a depthwise 3x3 and a 1x1 convolution, each with norm and rectifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MobileNetV1 {
    images: Images,
}

/// Channels out and stride of each unit.
const V1_UNITS: [(usize, usize); 13] =
    [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)];

impl MobileNetV1 {
    pub(super) fn parse(name: &str) -> Parsed<Self> {
        match name {
            "mobilenetv1" => Some(Ok(Self { images: Images::Small })),
            "mobilenetv1-imagenet" => Some(Ok(Self { images: Images::Large })),
            _ => None,
        }
    }

    /// Four halvings after the stem.
    pub(super) const fn least_side(self) -> usize {
        16 * self.images.stem_stride()
    }

    pub(super) fn assemble(self, name: &str, input: Shape, n_classes: usize) -> Backbone {
        let mut channels = 32;
        let mut units = vec![Unit::Sequence(conv_norm_relu(input.channels, channels, 3, self.images.stem_stride()))];
        for (outputs, stride) in V1_UNITS {
            let mut layers = vec![Layer::depthwise3x3(channels, stride), Layer::BatchNorm { channels }, Layer::Relu];
            layers.extend(conv_norm_relu(channels, outputs, 1, 1));
            units.push(Unit::Sequence(layers));
            channels = outputs;
        }
        let head = vec![Layer::GlobalAveragePool, Layer::Linear { inputs: channels, outputs: n_classes }];
        Backbone::plain(name, input, units, head)
    }
}

/// Version 2: a stem and seventeen inverted residuals. The last 1x1 convolution, to 1280 channels, belongs to the head: an exit that followed it would
/// be a second head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MobileNetV2 {
    images: Images,
    variant: Variant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    /// As in the paper: an expansion of 1 is left out, the input is added where the shapes agree, and the rectifier is cut off at 6.
    Paper,
    /// As in kuangliu/pytorch-cifar: an expansion of 1 is a convolution, wherever the stride is 1 something is added, by a 1x1 convolution and batch
    /// norm if need be, and the rectifier is the plain one.
    Projection,
}

/// Expansion, channels out, units, and the first unit's stride, of each stage.
const V2_STAGES: [(usize, usize, usize, usize); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

/// Small images keep their size up to and with this many stages.
const V2_UNSTRIDED: usize = 2;

const V2_FEATURES: usize = 1280;

impl MobileNetV2 {
    pub(super) fn parse(name: &str) -> Parsed<Self> {
        match name {
            "mobilenetv2" => Some(Ok(Self { images: Images::Small, variant: Variant::Paper })),
            "mobilenetv2-projection" => Some(Ok(Self { images: Images::Small, variant: Variant::Projection })),
            "mobilenetv2-imagenet" => Some(Ok(Self { images: Images::Large, variant: Variant::Paper })),
            _ => None,
        }
    }

    /// Three halvings, and two more for large images.
    pub(super) const fn least_side(self) -> usize {
        match self.images {
            Images::Small => 8,
            Images::Large => 32,
        }
    }

    pub(super) fn assemble(self, name: &str, input: Shape, n_classes: usize) -> Backbone {
        let mut channels = 32;
        let mut units = vec![Unit::Sequence(self.conv(input.channels, channels, 3, self.images.stem_stride()))];
        for (stage, (expansion, outputs, n_units, stride)) in V2_STAGES.into_iter().enumerate() {
            for index in 0..n_units {
                let keeps = index > 0 || self.images == Images::Small && stage < V2_UNSTRIDED;
                units.push(self.unit(channels, expansion, outputs, if keeps { 1 } else { stride }));
                channels = outputs;
            }
        }
        let mut head = self.conv(channels, V2_FEATURES, 1, 1);
        head.extend([Layer::GlobalAveragePool, Layer::Linear { inputs: V2_FEATURES, outputs: n_classes }]);
        Backbone::plain(name, input, units, head)
    }

    /// Out to `expansion` times the channels, every channel by itself, and back to few, which are not rectified.
    fn unit(self, inputs: usize, expansion: usize, outputs: usize, stride: usize) -> Unit {
        let channels = expansion * inputs;
        let mut body = Vec::new();
        if expansion > 1 || self.variant == Variant::Projection {
            body.extend(self.conv(inputs, channels, 1, 1));
        }
        let norm = Layer::BatchNorm { channels: outputs };
        body.extend([Layer::depthwise3x3(channels, stride), Layer::BatchNorm { channels }, self.rectifier()]);
        body.extend([Layer::conv1x1(channels, outputs, 1), norm]);
        let shortcut = match self.variant {
            _ if stride > 1 => None,
            _ if inputs == outputs => Some(Shortcut::Identity),
            Variant::Paper => None,
            Variant::Projection => Some(Shortcut::Projection(vec![Layer::conv1x1(inputs, outputs, 1), norm])),
        };
        match shortcut {
            Some(shortcut) => Unit::Residual { before: Vec::new(), body, shortcut, after: Vec::new() },
            None => Unit::Sequence(body),
        }
    }

    fn conv(self, inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Vec<Layer> {
        vec![Layer::conv(inputs, outputs, kernel, stride), Layer::BatchNorm { channels: outputs }, self.rectifier()]
    }

    const fn rectifier(self) -> Layer {
        match self.variant {
            Variant::Paper => Layer::Relu6,
            Variant::Projection => Layer::Relu,
        }
    }
}
