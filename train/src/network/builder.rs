//! Fresh modules from the domain's description, and the weights they start with.

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AvgPool2dConfig, MaxPool2dConfig};
use burn::nn::{BatchNormConfig, Identity, Initializer, Linear, LinearConfig, PaddingConfig2d, Relu};
use burn::tensor::{Device, Tensor, TensorData};
use offramp_domain::backbone::{JoinedMap, MapRef, Part, Shortcut, Unit};
use offramp_domain::layer::{self, Layer};
use rand_chacha::ChaCha8Rng;

use super::modules::{
    GlobalAveragePool, JoinedMapModule, LayerModule, PadSubsample, PartModule, Relu6, ResidualModule, ShortcutModule, UnitModule,
};
use crate::chance;

/// Builds modules, drawing weights as it goes.
pub(super) struct Builder<'a> {
    /// Where weights are drawn from; without it all are zero, for those who set them afterwards.
    pub(super) rng: Option<ChaCha8Rng>,
    pub(super) device: &'a Device,
}

impl Builder<'_> {
    pub(super) fn unit(&mut self, unit: &Unit) -> UnitModule {
        match unit {
            Unit::Sequence(layers) => UnitModule::Sequence(self.layers(layers)),
            Unit::Residual { before, body, shortcut, after } => UnitModule::Residual(ResidualModule {
                before: self.layers(before),
                body: self.layers(body),
                shortcut: self.shortcut(shortcut),
                after: self.layers(after),
            }),
            Unit::Joined(joined) => UnitModule::Joined(joined.iter().map(|map| self.joined_map(map)).collect()),
        }
    }

    fn joined_map(&mut self, map: &JoinedMap) -> JoinedMapModule {
        let part = |part: &Part| {
            let (of_output, index) = match part.from {
                MapRef::Input(index) => (false, index),
                MapRef::Output(index) => (true, index),
            };
            PartModule { of_output, index, layers: self.layers(&part.layers) }
        };
        JoinedMapModule { parts: map.parts.iter().map(part).collect() }
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
            Layer::Relu6 => LayerModule::Relu6(Relu6),
            Layer::MaxPool { kernel, stride, padding } => {
                let pool = MaxPool2dConfig::new([kernel, kernel]).with_strides([stride, stride]);
                LayerModule::MaxPool(pool.with_padding(all_sides(padding)).init())
            }
            Layer::AveragePool { kernel, stride } => {
                LayerModule::AveragePool(AvgPool2dConfig::new([kernel, kernel]).with_strides([stride, stride]).init())
            }
            Layer::GlobalAveragePool => LayerModule::GlobalAveragePool(GlobalAveragePool),
            Layer::Linear { inputs, outputs } => LayerModule::Linear(self.linear(inputs, outputs)),
        }
    }

    pub(super) fn conv2d(&mut self, conv: layer::Conv2d) -> Conv2d {
        let mut module = Conv2dConfig::new([conv.inputs, conv.outputs], [conv.kernel, conv.kernel])
            .with_stride([conv.stride, conv.stride])
            .with_padding(all_sides(conv.padding))
            .with_groups(conv.groups)
            .with_bias(conv.bias)
            .with_initializer(Initializer::Zeros)
            .init(self.device);
        let deviation = (2.0 / (conv.outputs / conv.groups * conv.kernel * conv.kernel) as f64).sqrt();
        module.weight =
            self.parameter([conv.outputs, conv.inputs / conv.groups, conv.kernel, conv.kernel], |rng| deviation * chance::normal(rng));
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
        let n: usize = shape.iter().product();
        let values: Vec<f32> = match &mut self.rng {
            Some(rng) => (0..n).map(|_| draw(rng) as f32).collect(),
            None => vec![0.0; n],
        };
        Param::from_data(TensorData::new(values, shape), self.device)
    }
}

/// As much padding on all four sides.
const fn all_sides(padding: usize) -> PaddingConfig2d {
    PaddingConfig2d::Explicit(padding, padding, padding, padding)
}
