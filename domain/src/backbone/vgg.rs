//! VGG networks with batch norm, without dropout.
//!
//! # Source
//! Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, arXiv 1409.1556, configurations A, B, D and E. Batch
//! norm and the small classifiers are those of public implementations for CIFAR: one linear layer as in kuangliu/pytorch-cifar, two of 512
//! before it as in chenyaofo/pytorch-cifar-models and shallow-deep networks, two of 4096 as in weiaicunzai/pytorch-cifar100. The networks for
//! large images count like torchvision's.

use super::design::{NoSuchSize, Parsed, whole_numbers};
use super::{Backbone, Unit};
use crate::layer::{Conv2d, Layer, summarise};
use crate::shape::Shape;

/// Five stages of 3x3 convolutions with 64, 128, 256, 512 and 512 channels, each ended by a 2x2 maximum with stride 2.
///
/// A unit is one convolution with its norm and rectifier, and the maximum before it where there is one: an exit at the end of a stage reads the map
/// at its full size. The last maximum belongs to the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vgg {
    /// Convolutions of each stage.
    n_convs: [usize; 5],
    bias: bool,
    classifier: Classifier,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Classifier {
    /// One linear layer on the pooled map; for two more, of this many features with rectifiers, before it.
    Pooled { hidden: Option<usize> },
    /// Two linear layers of 4096 features with rectifiers and the last one, on the map as it is: 7x7 of an image of 224x224.
    Flattened,
}

const CHANNELS: [usize; 5] = [64, 128, 256, 512, 512];

/// Features of the hidden layers for large images.
const HIDDEN: usize = 4096;

/// Depths by which the networks are known, three linear layers included, and convolutions of each stage.
const DEPTHS: [(usize, [usize; 5]); 4] = [(11, [1, 1, 2, 2, 2]), (13, [2, 2, 2, 2, 2]), (16, [2, 2, 3, 3, 3]), (19, [2, 2, 4, 4, 4])];

impl Vgg {
    /// Five halvings.
    pub(super) const LEAST_SIDE: usize = 32;

    pub(super) fn parse(name: &str) -> Parsed<Self> {
        let (depth, variant) = name.strip_prefix("vgg")?.split_once("-bn")?;
        let (bias, classifier) = match variant {
            "" => (true, Classifier::Pooled { hidden: None }),
            "-nobias" => (false, Classifier::Pooled { hidden: None }),
            "-fc512" => (true, Classifier::Pooled { hidden: Some(512) }),
            "-fc4096" => (true, Classifier::Pooled { hidden: Some(HIDDEN) }),
            "-imagenet" => (true, Classifier::Flattened),
            _ => return None,
        };
        let [depth] = whole_numbers(depth)?;
        let (nearest, n_convs) = DEPTHS.into_iter().min_by_key(|(known, _)| known.abs_diff(depth)).expect("there are depths");
        if nearest == depth {
            return Some(Ok(Self { n_convs, bias, classifier }));
        }
        Some(Err(NoSuchSize { rule: "VGG networks have 11, 13, 16 or 19 layers", nearest: format!("vgg{nearest}-bn{variant}") }))
    }

    pub(super) fn assemble(self, name: &str, input: Shape, n_classes: usize) -> Backbone {
        let mut channels = input.channels;
        let mut units = Vec::with_capacity(self.n_convs.iter().sum());
        let halving = Layer::MaxPool { kernel: 2, stride: 2, padding: 0 };
        for (stage, (outputs, n_convs)) in CHANNELS.into_iter().zip(self.n_convs).enumerate() {
            for index in 0..n_convs {
                let mut layers = if stage > 0 && index == 0 { vec![halving] } else { Vec::new() };
                let conv = Conv2d { bias: self.bias, ..Conv2d::new(channels, outputs, 3, 1) };
                layers.extend([Layer::Conv2d(conv), Layer::BatchNorm { channels: outputs }, Layer::Relu]);
                units.push(Unit::Sequence(layers));
                channels = outputs;
            }
        }
        let mut backbone = Backbone::plain(name, input, units, vec![halving]);
        let pooled = backbone.total().output;
        backbone.head.extend(self.classifier.layers(pooled, n_classes));
        backbone
    }
}

impl Classifier {
    fn layers(self, input: Shape, n_classes: usize) -> Vec<Layer> {
        let (mut layers, hidden) = match self {
            Self::Pooled { hidden } => (vec![Layer::GlobalAveragePool], hidden),
            Self::Flattened => (Vec::new(), Some(HIDDEN)),
        };
        let Shape { channels, height, width } = summarise(&layers, input).output;
        let mut inputs = channels * height * width;
        for outputs in hidden.into_iter().flat_map(|features| [features; 2]) {
            layers.extend([Layer::Linear { inputs, outputs }, Layer::Relu]);
            inputs = outputs;
        }
        layers.push(Layer::Linear { inputs, outputs: n_classes });
        layers
    }
}
