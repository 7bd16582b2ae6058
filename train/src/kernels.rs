//! Kernels of our own for what Burn's CPU backend is slow at: convolutions, and batch norms with the ReLU after them.
//!
//! They compute what the plain layers compute, up to rounding, and are a function of their inputs alone: sums are taken in an order that
//! follows from shapes, never from the number of threads, nor, among processors that fuse multiply and add, from the width of vectors.
//! `convolution`, `normalisation` and `normalised_convolution` choose by the tensor's device. Anything but 32-bit floats on the CPU backend
//! goes through the plain layers, as do convolutions in groups and whatever runs inside [`plain`].
//!
//! - `gather`: which inputs feed which outputs, cut into tiles; `product`: the two inner loops; `convolution`: forward and both gradients out
//!   of them.
//! - `normalisation`: batch norm with ReLU, and its gradient.
//! - `gradient`: their places in Burn's graph.

#[expect(clippy::inline_always, reason = "what is not inlined into a caller with wide vectors has none")]
mod convolution;
mod gather;
mod gradient;
#[expect(clippy::inline_always, reason = "what is not inlined into a caller with wide vectors has none")]
mod normalisation;
#[expect(clippy::inline_always, reason = "what is not inlined into a caller with wide vectors has none")]
mod product;

use std::cell::Cell;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, DispatchDevice, Flex};
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{DType, GradientCheckpointingStrategy, Tensor, TensorData};

use pulp::Arch;

use convolution::{Convolution, Finish};
use normalisation::{Maps, Normalisation};

thread_local! {
    static PLAIN: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with Burn's own layers on every device: what the kernels are measured against.
pub fn plain<T>(work: impl FnOnce() -> T) -> T {
    let before = PLAIN.replace(true);
    let result = work();
    PLAIN.set(before);
    result
}

/// How a layer is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// By Burn's own layers.
    Plain,
    /// By the kernels, with nothing recorded.
    Inference,
    /// By the kernels, recorded for the gradient.
    Training,
}

impl Route {
    /// The route of an input and the parameters that it meets, which have to live in the same place.
    fn of<const D: usize>(x_bchw: &Tensor<4>, parameters: &[&Tensor<D>]) -> Self {
        let device = x_bchw.device();
        let is_autodiff = device.is_autodiff();
        let alike = parameters.iter().all(|tensor| tensor.dtype() == DType::F32 && tensor.device().is_autodiff() == is_autodiff);
        let checkpoints =
            device.gradient_checkpointing_strategy().is_some_and(|strategy| strategy != GradientCheckpointingStrategy::Disabled);
        let on_cpu = matches!(device.without_autodiff().as_dispatch(), DispatchDevice::Flex(_));
        let empty = x_bchw.dims().contains(&0);
        match (on_cpu && alike && !empty && !checkpoints && x_bchw.dtype() == DType::F32 && !PLAIN.get(), is_autodiff) {
            (false, _) => Self::Plain,
            (true, false) => Self::Inference,
            (true, true) => Self::Training,
        }
    }
}

/// A tensor on the CPU backend.
type Values = FloatTensor<Flex>;

/// A tensor on the CPU backend that the graph knows.
type Tracked = FloatTensor<Autodiff<Flex>>;

/// A convolution layer applied to a batch.
///
/// # Shapes
/// `[batch, inputs, height, width]` -> `[batch, outputs, height, width]`.
pub(crate) fn convolution(layer: &Conv2d, x_bchw: Tensor<4>) -> Tensor<4> {
    let weight = layer.weight.val();
    match (shape(layer, &x_bchw), Route::of(&x_bchw, &[&weight])) {
        (Some(shape), Route::Inference) => {
            let bias = layer.bias.as_ref().map(|bias| contiguous(bias.val()));
            convolve(&shape, x_bchw, numbers(&contiguous(weight)), Finish { shift: bias.as_ref().map(numbers), relu: false })
        }
        (Some(shape), Route::Training) => {
            let y_bchw = gradient::convolution(tracked(x_bchw), tracked(weight), shape);
            let y_bchw = Tensor::from_primitive::<Autodiff<Flex>>(y_bchw);
            match &layer.bias {
                Some(bias) => y_bchw + bias.val().unsqueeze_dims(&[0, 2, 3]),
                None => y_bchw,
            }
        }
        (None, _) | (_, Route::Plain) => layer.forward(x_bchw),
    }
}

/// A batch norm layer applied to a batch, and then ReLU if so said. Running statistics move as they do in the plain layer.
///
/// # Shapes
/// `[batch, channels, height, width]` -> the same.
pub(crate) fn normalisation(layer: &BatchNorm, then_relu: bool, x_bchw: Tensor<4>) -> Tensor<4> {
    let (gamma, beta) = (layer.gamma.val(), layer.beta.val());
    let dims = x_bchw.dims();
    let maps = Maps { n_images: dims[0], channels: dims[1], positions: dims[2] * dims[3] };
    let device = x_bchw.device();
    match Route::of(&x_bchw, &[&gamma, &beta]) {
        Route::Inference => {
            let fixed = Fixed::of(layer);
            let y_bchw = fixed.normalisation(then_relu).apply(Arch::new(), numbers(&contiguous(x_bchw)), maps);
            Tensor::from_data(TensorData::new(y_bchw, dims), &device)
        }
        Route::Training if layer.training.is_enabled() => {
            let normalised = gradient::normalisation(
                [tracked(x_bchw), tracked(gamma), tracked(beta)],
                gradient::BatchNorm { maps, epsilon: layer.epsilon, relu: then_relu },
            );
            let blend = |running: Tensor<1>, batch: Vec<f32>| {
                let batch = Tensor::<1>::from_data(TensorData::new(batch, [maps.channels]), &device);
                running.to_device(&device).mul_scalar(1.0 - layer.momentum).add(batch.mul_scalar(layer.momentum)).detach()
            };
            layer.running_mean.update(blend(layer.running_mean.value_sync(), normalised.mean));
            layer.running_var.update(blend(layer.running_var.value_sync(), normalised.variance));
            Tensor::from_primitive::<Autodiff<Flex>>(normalised.y_bchw)
        }
        Route::Plain | Route::Training => {
            // Statistics are kept, and taken, in the layer's own numbers, whatever those of the map.
            let dtype = x_bchw.dtype();
            let same = dtype == gamma.dtype();
            let y_bchw = if same { layer.forward(x_bchw) } else { layer.forward(x_bchw.cast(gamma.dtype())).cast(dtype) };
            if then_relu { relu(y_bchw) } else { y_bchw }
        }
    }
}

/// A convolution, the batch norm after it, and then ReLU if so said. Where nothing is recorded, the three are one.
///
/// # Shapes
/// As of [`convolution`].
pub(crate) fn normalised_convolution(layer: &Conv2d, norm: &BatchNorm, then_relu: bool, x_bchw: Tensor<4>) -> Tensor<4> {
    let weight = layer.weight.val();
    let inference = Route::of(&x_bchw, &[&weight]) == Route::Inference
        && Route::of(&x_bchw, &[&norm.gamma.val(), &norm.beta.val()]) == Route::Inference;
    let Some(shape) = shape(layer, &x_bchw).filter(|_| inference) else {
        return normalisation(norm, then_relu, convolution(layer, x_bchw));
    };
    let fixed = Fixed::of(norm);
    let fixed = fixed.normalisation(then_relu);
    let mut shift: Vec<f32> = (0..shape.outputs).map(|channel| fixed.shift(channel)).collect();
    if let Some(bias) = &layer.bias {
        let bias = contiguous(bias.val());
        shift.iter_mut().zip(numbers(&bias)).enumerate().for_each(|(channel, (shift, bias))| *shift += bias * fixed.scale(channel));
    }
    let mut weight = numbers(&contiguous(weight)).to_vec();
    let n_weights = weight.len() / shape.outputs;
    for (channel, weight) in weight.chunks_exact_mut(n_weights).enumerate() {
        let scale = fixed.scale(channel);
        for weight in weight {
            *weight *= scale;
        }
    }
    convolve(&shape, x_bchw, &weight, Finish { shift: Some(&shift), relu: then_relu })
}

/// The convolution that a layer is on such a batch, if the kernels have it.
fn shape(layer: &Conv2d, x_bchw: &Tensor<4>) -> Option<Convolution> {
    let [n_images, inputs, height, width] = x_bchw.dims();
    let [outputs, weight_inputs, ..] = layer.weight.dims();
    let padding = match layer.padding {
        PaddingConfig2d::Valid => [(0, 0), (0, 0)],
        PaddingConfig2d::Explicit(top, left, bottom, right) => [(top, bottom), (left, right)],
        PaddingConfig2d::Same => return None,
    };
    let shape = Convolution {
        n_images,
        inputs,
        outputs,
        size: [height, width],
        kernel: layer.kernel_size,
        stride: layer.stride,
        dilation: layer.dilation,
        padding,
    };
    (layer.groups == 1 && weight_inputs == inputs && shape.output().is_some()).then_some(shape)
}

fn convolve(shape: &Convolution, x_bchw: Tensor<4>, weights: &[f32], finish: Finish) -> Tensor<4> {
    let device = x_bchw.device();
    let [height, width] = shape.output().expect("a shape that `shape` gave");
    let y_bchw = shape.forward(Arch::new(), numbers(&contiguous(x_bchw)), weights, finish);
    Tensor::from_data(TensorData::new(y_bchw, [shape.n_images, shape.outputs, height, width]), &device)
}

/// What a batch norm is once its statistics are fixed.
struct Fixed {
    gamma: Values,
    beta: Values,
    mean: Values,
    variance: Values,
    epsilon: f64,
}

impl Fixed {
    fn of(layer: &BatchNorm) -> Self {
        let inner = |tensor: Tensor<1>| contiguous(tensor.to_device(&burn::tensor::Device::flex()));
        Self {
            gamma: inner(layer.gamma.val()),
            beta: inner(layer.beta.val()),
            mean: inner(layer.running_mean.value()),
            variance: inner(layer.running_var.value()),
            epsilon: layer.epsilon,
        }
    }

    fn normalisation(&self, relu: bool) -> Normalisation<'_> {
        Normalisation {
            gamma: numbers(&self.gamma),
            beta: numbers(&self.beta),
            mean: numbers(&self.mean),
            variance: numbers(&self.variance),
            epsilon: self.epsilon,
            relu,
        }
    }
}

/// A tensor of the CPU backend as the graph knows it. Its route has to be [`Route::Training`].
fn tracked<const D: usize>(tensor: Tensor<D>) -> Tracked {
    tensor.try_into_primitive::<Autodiff<Flex>>().expect("a tensor that was routed here")
}

/// A tensor of the CPU backend with its numbers in order. Its route has to be [`Route::Inference`].
fn contiguous<const D: usize>(tensor: Tensor<D>) -> Values {
    tensor.try_into_primitive::<Flex>().expect("a tensor that was routed here").to_contiguous()
}

/// The numbers of a contiguous tensor.
fn numbers(tensor: &Values) -> &[f32] {
    tensor.as_slice().expect("contiguous 32-bit floats")
}

#[cfg(test)]
mod tests;
