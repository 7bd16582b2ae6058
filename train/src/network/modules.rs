//! Units and layers as Burn modules, and how each is applied.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, Identity, Linear, Relu};
use burn::tensor::activation::relu;
use burn::tensor::{Tensor, s};

use super::Features;

/// The smallest piece of a backbone that an exit can follow.
#[derive(Module, Debug)]
pub(super) enum UnitModule {
    Sequence(Vec<LayerModule>),
    Residual(ResidualModule),
}

/// `relu(body(x) + shortcut(x))`.
#[derive(Module, Debug)]
pub(super) struct ResidualModule {
    pub(super) body: Vec<LayerModule>,
    pub(super) shortcut: ShortcutModule,
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
    GlobalAveragePool(GlobalAveragePool),
    Linear(Linear),
}

/// Mean over all positions.
#[derive(Module, Debug)]
pub(super) struct GlobalAveragePool;

impl UnitModule {
    pub(super) fn forward(&self, features: Features) -> Features {
        match self {
            Self::Sequence(layers) => features.map(|x_bchw| apply(layers, x_bchw)),
            Self::Residual(ResidualModule { body, shortcut }) => {
                features.map(|x_bchw| relu(apply(body, x_bchw.clone()) + shortcut.forward(x_bchw)))
            }
        }
    }
}

impl ShortcutModule {
    pub(super) fn forward(&self, x_bchw: Tensor<4>) -> Tensor<4> {
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
        let zeros = Tensor::zeros([n_images, self.pad, height, width], &x_bchw.device());
        Tensor::cat(vec![zeros.clone(), x_bchw, zeros], 1)
    }
}

impl LayerModule {
    pub(super) fn forward(&self, x_bchw: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Conv2d(conv) => conv.forward(x_bchw),
            Self::BatchNorm(norm) => norm.forward(x_bchw),
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

pub(super) fn apply(layers: &[LayerModule], x_bchw: Tensor<4>) -> Tensor<4> {
    layers.iter().fold(x_bchw, |x_bchw, layer| layer.forward(x_bchw))
}

/// Applies a classifier, whose map is 1x1 in the end.
pub(super) fn classify(layers: &[LayerModule], x_bchw: Tensor<4>) -> Tensor<2> {
    apply(layers, x_bchw).flatten(1, 3)
}
