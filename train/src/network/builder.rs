//! Fresh modules from the domain's description, and the weights they start with.

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNormConfig, Identity, Initializer, Linear, LinearConfig, PaddingConfig2d, Relu};
use burn::tensor::{Device, Tensor, TensorData};
use offramp_domain::backbone::{Shortcut, Unit};
use offramp_domain::layer::{self, Layer};
use rand_chacha::ChaCha8Rng;

use super::modules::{GlobalAveragePool, LayerModule, PadSubsample, ResidualModule, ShortcutModule, UnitModule};
use crate::chance;

/// Builds modules, drawing weights as it goes.
pub(super) struct Builder<'a> {
    pub(super) rng: ChaCha8Rng,
    pub(super) device: &'a Device,
}

impl Builder<'_> {
    pub(super) fn unit(&mut self, unit: &Unit) -> UnitModule {
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

    pub(super) fn layers(&mut self, layers: &[Layer]) -> Vec<LayerModule> {
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

    pub(super) fn conv2d(&mut self, conv: layer::Conv2d) -> Conv2d {
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

    pub(super) fn linear(&mut self, inputs: usize, outputs: usize) -> Linear {
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
