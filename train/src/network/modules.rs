//! Units and layers as Burn modules, and how each is applied.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{AvgPool2d, MaxPool2d};
use burn::nn::{BatchNorm, Identity, Linear, Relu};
use burn::tensor::activation::relu;
use burn::tensor::{Tensor, s};

use super::Features;
use crate::kernels;

/// The smallest piece of a backbone that an exit can follow.
#[derive(Module, Debug)]
pub(super) enum UnitModule {
    Sequence(Vec<LayerModule>),
    Residual(ResidualModule),
    Joined(Vec<JoinedMapModule>),
}

/// `x' = before(x)`, then `after(body(x') + shortcut(x'))`.
#[derive(Module, Debug)]
pub(super) struct ResidualModule {
    pub(super) before: Vec<LayerModule>,
    pub(super) body: Vec<LayerModule>,
    pub(super) shortcut: ShortcutModule,
    pub(super) after: Vec<LayerModule>,
}

/// Parts, concatenated along the channels.
#[derive(Module, Debug)]
pub(super) struct JoinedMapModule {
    pub(super) parts: Vec<PartModule>,
}

/// A map that the unit is given, or one that it has put out before, through layers.
#[derive(Module, Debug)]
pub(super) struct PartModule {
    pub(super) of_output: bool,
    pub(super) index: usize,
    pub(super) layers: Vec<LayerModule>,
}

/// The way round a residual unit's body.
#[derive(Module, Debug)]
pub(super) enum ShortcutModule {
    Identity(Identity),
    PadSubsample(PadSubsample),
    Projection(Vec<LayerModule>),
}

/// Every `stride`-th row and column, between `pad` zero channels before and as many after.
#[derive(Module, Debug)]
pub(super) struct PadSubsample {
    pub(super) stride: usize,
    pub(super) pad: usize,
}

/// One layer.
#[derive(Module, Debug)]
pub(super) enum LayerModule {
    Conv2d(Conv2d),
    BatchNorm(BatchNorm),
    Relu(Relu),
    Relu6(Relu6),
    MaxPool(MaxPool2d),
    AveragePool(AvgPool2d),
    GlobalAveragePool(GlobalAveragePool),
    Linear(Linear),
}

/// The rectifier that is cut off at 6.
#[derive(Module, Debug)]
pub(super) struct Relu6;

/// Mean over all positions.
#[derive(Module, Debug)]
pub(super) struct GlobalAveragePool;

impl UnitModule {
    pub(super) fn forward(&self, features: Features) -> Features {
        match self {
            Self::Sequence(layers) => Features::of_map(apply(layers, features.into_coarsest())),
            Self::Residual(unit) => Features::of_map(unit.forward(features.into_coarsest())),
            Self::Joined(joined) => join(joined, features),
        }
    }
}

impl ResidualModule {
    fn forward(&self, x_bchw: Tensor<4>) -> Tensor<4> {
        let x_bchw = apply(&self.before, x_bchw);
        let sum_bchw = apply(&self.body, x_bchw.clone()) + self.shortcut.forward(x_bchw);
        apply(&self.after, sum_bchw)
    }
}

fn join(joined: &[JoinedMapModule], features: Features) -> Features {
    let inputs = features.into_maps();
    let mut outputs: Vec<Tensor<4>> = Vec::with_capacity(joined.len());
    for map in joined {
        let part = |part: &PartModule| {
            let from = if part.of_output { &outputs } else { &inputs };
            apply(&part.layers, from[part.index].clone())
        };
        let mut parts_bchw: Vec<Tensor<4>> = map.parts.iter().map(part).collect();
        outputs.push(if parts_bchw.len() == 1 { parts_bchw.remove(0) } else { Tensor::cat(parts_bchw, 1) });
    }
    Features::of_maps(outputs)
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
    pub(super) fn forward(&self, x_bchw: Tensor<4>) -> Tensor<4> {
        let x_bchw = x_bchw.slice(s![.., .., ..;self.stride as isize, ..;self.stride as isize]);
        let [n_images, _, height, width] = x_bchw.dims();
        let zeros = Tensor::zeros([n_images, self.pad, height, width], (&x_bchw.device(), x_bchw.dtype()));
        Tensor::cat(vec![zeros.clone(), x_bchw, zeros], 1)
    }
}

impl LayerModule {
    fn forward(&self, x_bchw: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Conv2d(conv) => kernels::convolution(conv, x_bchw),
            Self::BatchNorm(norm) => kernels::normalisation(norm, false, x_bchw),
            Self::Relu(_) => relu(x_bchw),
            Self::Relu6(_) => x_bchw.clamp(0.0, 6.0),
            Self::MaxPool(pool) => pool.forward(x_bchw),
            Self::AveragePool(pool) => pool.forward(x_bchw),
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
pub(super) fn apply(layers: &[LayerModule], mut x_bchw: Tensor<4>) -> Tensor<4> {
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
pub(super) fn classify(layers: &[LayerModule], x_bchw: Tensor<4>) -> Tensor<2> {
    apply(layers, x_bchw).flatten(1, 3)
}
