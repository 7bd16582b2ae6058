//! Burn modules from the domain's description of a network.
//!
//! Tensor suffixes: b batch, c channels, h height, w width, k classes, f features.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Identity, Initializer, Linear, LinearConfig, PaddingConfig2d, Relu};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData, s};
use offramp_domain::backbone::{Shortcut, Unit};
use offramp_domain::layer::{self, Layer};
use offramp_domain::network::Network;
use rand_chacha::ChaCha8Rng;

use crate::chance::{self, Purpose};
use crate::kernels;

/// A backbone with its branches.
#[derive(Module, Debug)]
pub struct MultiExit {
    units: Vec<UnitModule>,
    head: Vec<LayerModule>,
    branches: Vec<BranchModule>,
}

/// The smallest piece of a backbone that an exit can follow.
#[derive(Module, Debug)]
enum UnitModule {
    Sequence(Vec<LayerModule>),
    Residual(ResidualModule),
}

/// `relu(body(x) + shortcut(x))`.
#[derive(Module, Debug)]
struct ResidualModule {
    body: Vec<LayerModule>,
    shortcut: ShortcutModule,
}

/// The way round a residual unit's body.
#[derive(Module, Debug)]
enum ShortcutModule {
    Identity(Identity),
    PadSubsample(PadSubsample),
    Projection(Vec<LayerModule>),
}

/// Every `stride`-th row and column, between `pad` zero channels before and as many after.
#[derive(Module, Debug)]
struct PadSubsample {
    stride: usize,
    pad: usize,
}

/// The classifier hung on a unit's output.
#[derive(Module, Debug)]
struct BranchModule {
    unit: usize,
    layers: Vec<LayerModule>,
}

/// One layer.
#[derive(Module, Debug)]
enum LayerModule {
    Conv2d(Conv2d),
    BatchNorm(BatchNorm),
    Relu(Relu),
    GlobalAveragePool(GlobalAveragePool),
    Linear(Linear),
}

/// Mean over all positions.
#[derive(Module, Debug)]
struct GlobalAveragePool;

impl MultiExit {
    /// Builds a network's modules with fresh weights.
    ///
    /// Convolutions start as He et al. (2015) have it for the backward signal: normal with variance 2 / (outputs x kernel area). Linear layers start
    /// uniform within 1 / sqrt(inputs), bias and all; batch norms at scale 1 and shift 0. Weights are drawn from the seed's own stream in
    /// the order units, head, branches: networks with the same backbone and seed start from the same backbone, whatever their branches.
    pub fn new(network: &Network, seed: u64, device: &Device) -> Self {
        let mut builder = Builder { rng: chance::stream(seed, Purpose::Weights, 0), device };
        let units = network.backbone.units.iter().map(|unit| builder.unit(unit)).collect();
        let head = builder.layers(&network.backbone.head);
        let branches =
            network.branches.iter().map(|branch| BranchModule { unit: branch.unit, layers: builder.layers(&branch.layers) }).collect();
        Self { units, head, branches }
    }

    /// What every exit says of a batch, side exits first to last, then the final exit.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]` -> one `[batch, classes]` an exit.
    pub fn forward(&self, x_bchw: Tensor<4>) -> Vec<Tensor<2>> {
        let mut logits_bk = Vec::with_capacity(self.branches.len() + 1);
        let mut x_bchw = x_bchw;
        for (index, unit) in self.units.iter().enumerate() {
            x_bchw = unit.forward(x_bchw);
            for branch in self.branches.iter().filter(|branch| branch.unit == index) {
                logits_bk.push(classify(&branch.layers, x_bchw.clone()));
            }
        }
        logits_bk.push(classify(&self.head, x_bchw));
        logits_bk
    }
}

impl UnitModule {
    fn forward(&self, x_bchw: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Sequence(layers) => apply(layers, x_bchw),
            Self::Residual(ResidualModule { body, shortcut }) => relu(apply(body, x_bchw.clone()) + shortcut.forward(x_bchw)),
        }
    }
}

impl ShortcutModule {
    fn forward(&self, x_bchw: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Identity(_) => x_bchw,
            Self::PadSubsample(option_a) => option_a.forward(x_bchw),
            Self::Projection(layers) => apply(layers, x_bchw),
        }
    }
}

impl PadSubsample {
    fn forward(&self, x_bchw: Tensor<4>) -> Tensor<4> {
        let x_bchw = x_bchw.slice(s![.., .., ..;self.stride as isize, ..;self.stride as isize]);
        let [n_images, _, height, width] = x_bchw.dims();
        let zeros = Tensor::zeros([n_images, self.pad, height, width], &x_bchw.device());
        Tensor::cat(vec![zeros.clone(), x_bchw, zeros], 1)
    }
}

impl LayerModule {
    fn forward(&self, x_bchw: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Conv2d(conv) => kernels::convolution(conv, x_bchw),
            Self::BatchNorm(norm) => kernels::normalisation(norm, false, x_bchw),
            Self::Relu(_) => relu(x_bchw),
            Self::GlobalAveragePool(_) => {
                let [n_images, channels, height, width] = x_bchw.dims();
                x_bchw.reshape([n_images, channels, height * width]).mean_dim(2).reshape([n_images, channels, 1, 1])
            }
            Self::Linear(linear) => {
                let y_bf: Tensor<2> = linear.forward(x_bchw.flatten(1, 3));
                y_bf.unsqueeze_dims(&[2, 3])
            }
        }
    }
}

/// Applies layers one after another; those that the kernels have as one, together.
fn apply(layers: &[LayerModule], mut x_bchw: Tensor<4>) -> Tensor<4> {
    let mut rest = layers;
    while let [layer, after @ ..] = rest {
        (x_bchw, rest) = match rest {
            [LayerModule::Conv2d(conv), LayerModule::BatchNorm(norm), LayerModule::Relu(_), rest @ ..] => {
                (kernels::normalised_convolution(conv, norm, true, x_bchw), rest)
            }
            [LayerModule::Conv2d(conv), LayerModule::BatchNorm(norm), rest @ ..] => {
                (kernels::normalised_convolution(conv, norm, false, x_bchw), rest)
            }
            [LayerModule::BatchNorm(norm), LayerModule::Relu(_), rest @ ..] => (kernels::normalisation(norm, true, x_bchw), rest),
            _ => (layer.forward(x_bchw), after),
        };
    }
    x_bchw
}

/// Applies a classifier, whose map is 1x1 in the end.
fn classify(layers: &[LayerModule], x_bchw: Tensor<4>) -> Tensor<2> {
    apply(layers, x_bchw).flatten(1, 3)
}

/// Builds modules, drawing weights as it goes.
struct Builder<'a> {
    rng: ChaCha8Rng,
    device: &'a Device,
}

impl Builder<'_> {
    fn unit(&mut self, unit: &Unit) -> UnitModule {
        match unit {
            Unit::Sequence(layers) => UnitModule::Sequence(self.layers(layers)),
            Unit::Residual { body, shortcut } => {
                UnitModule::Residual(ResidualModule { body: self.layers(body), shortcut: self.shortcut(shortcut) })
            }
        }
    }

    fn shortcut(&mut self, shortcut: &Shortcut) -> ShortcutModule {
        match shortcut {
            Shortcut::Identity => ShortcutModule::Identity(Identity),
            &Shortcut::PadSubsample { stride, pad } => ShortcutModule::PadSubsample(PadSubsample { stride, pad }),
            Shortcut::Projection(layers) => ShortcutModule::Projection(self.layers(layers)),
        }
    }

    fn layers(&mut self, layers: &[Layer]) -> Vec<LayerModule> {
        layers.iter().map(|layer| self.layer(*layer)).collect()
    }

    fn layer(&mut self, layer: Layer) -> LayerModule {
        match layer {
            Layer::Conv2d(conv) => LayerModule::Conv2d(self.conv2d(conv)),
            Layer::BatchNorm { channels } => LayerModule::BatchNorm(BatchNormConfig::new(channels).init(self.device)),
            Layer::Relu => LayerModule::Relu(Relu::new()),
            Layer::GlobalAveragePool => LayerModule::GlobalAveragePool(GlobalAveragePool),
            Layer::Linear { inputs, outputs } => LayerModule::Linear(self.linear(inputs, outputs)),
        }
    }

    fn conv2d(&mut self, conv: layer::Conv2d) -> Conv2d {
        let mut module = Conv2dConfig::new([conv.inputs, conv.outputs], [conv.kernel, conv.kernel])
            .with_stride([conv.stride, conv.stride])
            .with_padding(PaddingConfig2d::Explicit(conv.padding, conv.padding, conv.padding, conv.padding))
            .with_bias(false)
            .with_initializer(Initializer::Zeros)
            .init(self.device);
        let deviation = (2.0 / (conv.outputs * conv.kernel * conv.kernel) as f64).sqrt();
        module.weight = self.parameter([conv.outputs, conv.inputs, conv.kernel, conv.kernel], |rng| deviation * chance::normal(rng));
        module
    }

    fn linear(&mut self, inputs: usize, outputs: usize) -> Linear {
        let mut module = LinearConfig::new(inputs, outputs).with_initializer(Initializer::Zeros).init(self.device);
        let bound = (inputs as f64).sqrt().recip();
        module.weight = self.parameter([inputs, outputs], |rng| bound * (2.0 * chance::uniform(rng) - 1.0));
        module.bias = Some(self.parameter([outputs], |rng| bound * (2.0 * chance::uniform(rng) - 1.0)));
        module
    }

    fn parameter<const D: usize>(&mut self, shape: [usize; D], draw: impl Fn(&mut ChaCha8Rng) -> f64) -> Param<Tensor<D>> {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| draw(&mut self.rng) as f32).collect();
        Param::from_data(TensorData::new(values, shape), self.device)
    }
}

#[cfg(test)]
mod tests;
