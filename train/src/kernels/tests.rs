//! The kernels against the plain layers, against sums taken in the obvious way, and against themselves on other threads and vectors.

use burn::module::{Module, Param};
use burn::nn::conv::Conv2dConfig;
use burn::nn::{BatchNormConfig, Initializer};
use burn::tensor::Device;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;

/// Largest difference between kernels and plain layers, relative to the largest number there is.
const TOLERANCE: f32 = 2e-5;

fn numbers_of(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn tensor<const D: usize>(rng: &mut ChaCha8Rng, dims: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers_of(rng, dims.iter().product()), dims), device)
}

fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as().unwrap()
}

#[track_caller]
fn assert_close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-6_f32, |largest, value| largest.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= TOLERANCE * largest, "{what}[{index}]: {found} instead of {expected}, largest {largest}");
    }
}

/// A convolution of any shape that fits.
fn any_convolution(rng: &mut ChaCha8Rng) -> Convolution {
    loop {
        let shape = Convolution {
            n_images: rng.random_range(1..=5),
            inputs: rng.random_range(1..=36),
            outputs: rng.random_range(1..=70),
            size: [rng.random_range(1..=19), rng.random_range(1..=19)],
            kernel: [rng.random_range(1..=4), rng.random_range(1..=4)],
            stride: [rng.random_range(1..=3), rng.random_range(1..=3)],
            dilation: [rng.random_range(1..=2), rng.random_range(1..=2)],
            padding: [(rng.random_range(0..=2), rng.random_range(0..=2)), (rng.random_range(0..=2), rng.random_range(0..=2))],
        };
        if shape.output().is_some() {
            return shape;
        }
    }
}

/// Shapes that networks have: 3x3 and 1x1, with stride and without, wide maps and narrow ones.
fn usual_convolutions() -> Vec<Convolution> {
    let shape = |n_images, inputs, outputs, side, kernel, stride| Convolution {
        n_images,
        inputs,
        outputs,
        size: [side, side],
        kernel: [kernel, kernel],
        stride: [stride, stride],
        dilation: [1, 1],
        padding: [(kernel / 2, kernel / 2); 2],
    };
    vec![
        shape(3, 3, 16, 32, 3, 1),
        shape(2, 16, 32, 32, 3, 2),
        shape(2, 16, 16, 16, 1, 1),
        shape(2, 16, 32, 16, 1, 2),
        shape(5, 64, 64, 8, 3, 1),
        shape(33, 8, 24, 4, 3, 1),
        shape(40, 24, 8, 4, 3, 2),
        shape(67, 20, 40, 1, 1, 1),
        shape(1, 8, 8, 14, 5, 2),
        shape(1, 3, 8, 23, 7, 2),
        // A single column, read with a stride along it alone and across it alone.
        Convolution { size: [9, 1], stride: [2, 1], ..shape(3, 5, 4, 1, 1, 1) },
        Convolution { size: [9, 1], stride: [1, 2], ..shape(3, 5, 4, 1, 1, 1) },
        Convolution { size: [9, 1], stride: [1, 3], ..shape(3, 5, 4, 1, 3, 1) },
        // Padding as wide as the kernel and wider, a stride wider than the kernel.
        Convolution { padding: [(3, 4), (5, 3)], ..shape(2, 3, 5, 6, 3, 1) },
        Convolution { padding: [(2, 0), (0, 5)], ..shape(2, 3, 5, 7, 2, 3) },
    ]
}

fn all_convolutions() -> Vec<Convolution> {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut shapes = usual_convolutions();
    shapes.extend((0..80).map(|_| any_convolution(&mut rng)));
    shapes
}

/// Input, weights and output gradient.
fn material(shape: &Convolution, seed: u64) -> [Vec<f32>; 3] {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let [height, width] = shape.output().unwrap();
    [
        shape.n_images * shape.inputs * shape.size[0] * shape.size[1],
        shape.outputs * shape.inputs * shape.kernel[0] * shape.kernel[1],
        shape.n_images * shape.outputs * height * width,
    ]
    .map(|n| numbers_of(&mut rng, n))
}

fn everything(arch: Arch, shape: &Convolution, [x_bchw, weights, gradient_bchw]: &[Vec<f32>; 3]) -> [Vec<f32>; 3] {
    [
        shape.forward(arch, x_bchw, weights, Finish::default()),
        shape.input_gradient(arch, gradient_bchw, weights),
        shape.weight_gradient(arch, x_bchw, gradient_bchw),
    ]
}

/// Output and both gradients by the definition, in double precision.
fn by_definition(shape: &Convolution, [x_bchw, weights, gradient_bchw]: &[Vec<f32>; 3]) -> [Vec<f32>; 3] {
    let [height, width] = shape.output().unwrap();
    let mut found = [gradient_bchw.len(), x_bchw.len(), weights.len()].map(|n| vec![0.0_f64; n]);
    let mut y_index = 0;
    for image in 0..shape.n_images {
        for output in 0..shape.outputs {
            for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                for input in 0..shape.inputs {
                    for (ky, kx) in (0..shape.kernel[0]).flat_map(|ky| (0..shape.kernel[1]).map(move |kx| (ky, kx))) {
                        let row = (y * shape.stride[0] + ky * shape.dilation[0]).checked_sub(shape.padding[0].0);
                        let column = (x * shape.stride[1] + kx * shape.dilation[1]).checked_sub(shape.padding[1].0);
                        let (Some(row), Some(column)) = (row, column) else { continue };
                        if row >= shape.size[0] || column >= shape.size[1] {
                            continue;
                        }
                        let x_index = ((image * shape.inputs + input) * shape.size[0] + row) * shape.size[1] + column;
                        let w_index = ((output * shape.inputs + input) * shape.kernel[0] + ky) * shape.kernel[1] + kx;
                        found[0][y_index] += f64::from(x_bchw[x_index]) * f64::from(weights[w_index]);
                        found[1][x_index] += f64::from(gradient_bchw[y_index]) * f64::from(weights[w_index]);
                        found[2][w_index] += f64::from(gradient_bchw[y_index]) * f64::from(x_bchw[x_index]);
                    }
                }
                y_index += 1;
            }
        }
    }
    found.map(|values| values.into_iter().map(|value| value as f32).collect())
}

#[test]
fn convolutions_of_every_shape_follow_the_definition() {
    for (seed, shape) in all_convolutions().iter().enumerate() {
        let material = material(shape, seed as u64);
        let expected = by_definition(shape, &material);
        for arch in [Arch::new(), Arch::Scalar] {
            let found = everything(arch, shape, &material);
            for ((what, found), expected) in ["output", "input gradient", "weight gradient"].iter().zip(&found).zip(&expected) {
                assert_close(&format!("{what} of {shape:?} on {arch:?}"), found, expected);
            }
        }
    }
}

#[test]
fn a_small_convolution_gives_what_it_does_by_hand() {
    // Rows 1 2 3, 4 5 6, 7 8 9 under the kernel 1 0, 0 -1: each output is its place minus the place one below and one to the right.
    let shape = Convolution {
        n_images: 1,
        inputs: 1,
        outputs: 1,
        size: [3, 3],
        kernel: [2, 2],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [(0, 0), (0, 1)],
    };
    let x: Vec<f32> = (1_u8..=9).map(f32::from).collect();
    let weights = [1.0, 0.0, 0.0, -1.0];
    assert_eq!(shape.forward(Arch::new(), &x, &weights, Finish::default()), [-4.0, -4.0, 3.0, -4.0, -4.0, 6.0]);
    let finish = Finish { shift: Some(&[1.0]), relu: true };
    assert_eq!(shape.forward(Arch::new(), &x, &weights, finish), [0.0, 0.0, 4.0, 0.0, 0.0, 7.0]);
    let gradient = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    assert_eq!(shape.input_gradient(Arch::new(), &gradient, &weights), [1.0, 2.0, 3.0, 4.0, 4.0, 4.0, 0.0, -4.0, -5.0]);
    // 1*1+2*2+3*3+4*4+5*5+6*6; the column to the right is missing from the second; the row below from the third; both from the last.
    assert_eq!(shape.weight_gradient(Arch::new(), &x, &gradient), [91.0, 2.0 + 6.0 + 20.0 + 30.0, 154.0, 5.0 + 12.0 + 32.0 + 45.0]);
}

/// What runs in pools of 1, 2 and 4 threads gives the same bits.
fn assert_same_on_threads(what: &str, work: impl Fn() -> Vec<Vec<f32>> + Sync) {
    let run = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        bits(&pool.install(&work))
    };
    let one = run(1);
    assert!(run(2) == one && run(4) == one && run(4) == one, "{what} depends on the number of threads");
}

fn bits(values: &[Vec<f32>]) -> Vec<Vec<u32>> {
    values.iter().map(|values| values.iter().map(|value| value.to_bits()).collect()).collect()
}

/// Vectors half as wide as the widest there are, of processors that fuse multiply and add.
#[cfg(target_arch = "x86_64")]
fn narrower() -> Arch {
    pulp::x86::V3::try_new().map_or_else(Arch::new, Arch::V3)
}

#[cfg(not(target_arch = "x86_64"))]
fn narrower() -> Arch {
    Arch::new()
}

#[test]
fn convolutions_are_the_same_on_any_number_of_threads_and_vectors_of_any_width() {
    for (seed, shape) in all_convolutions().iter().enumerate().step_by(3) {
        let material = material(shape, seed as u64);
        assert_same_on_threads(&format!("{shape:?}"), || everything(Arch::new(), shape, &material).to_vec());
        let [narrow, wide] = [narrower(), Arch::new()].map(|arch| bits(&everything(arch, shape, &material)));
        assert!(narrow == wide, "{shape:?} depends on the width of vectors");
    }
}

#[test]
fn normalisations_are_the_same_on_any_number_of_threads_and_vectors_of_any_width() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (n_images, channels, positions) in [(1, 3, 25), (70, 5, 64), (33, 17, 1), (100, 2, 3)] {
        let maps = Maps { n_images, channels, positions };
        let [x_bchw, gradient_bchw] = [(); 2].map(|()| numbers_of(&mut rng, n_images * channels * positions));
        let [gamma, beta] = [(); 2].map(|()| numbers_of(&mut rng, channels));
        let all = |arch: Arch| {
            let (mean, variance) = normalisation::statistics(arch, &x_bchw, maps);
            let norm = Normalisation { gamma: &gamma, beta: &beta, mean: &mean, variance: &variance, epsilon: 1e-5, relu: true };
            let found = norm.gradients(arch, &x_bchw, &gradient_bchw, maps);
            let y_bchw = norm.apply(arch, &x_bchw, maps);
            vec![y_bchw, found.x_bchw, found.gamma, found.beta, mean, variance]
        };
        assert_same_on_threads(&format!("{maps:?}"), || all(Arch::new()));
        assert!(bits(&all(Arch::Scalar)) == bits(&all(Arch::new())), "{maps:?} depends on the width of vectors");
    }
}

/// The layer that a shape is.
fn layer(rng: &mut ChaCha8Rng, shape: &Convolution, bias: bool, device: &Device) -> Conv2d {
    let [(top, bottom), (left, right)] = shape.padding;
    let mut layer = Conv2dConfig::new([shape.inputs, shape.outputs], shape.kernel)
        .with_stride(shape.stride)
        .with_dilation(shape.dilation)
        .with_padding(PaddingConfig2d::Explicit(top, left, bottom, right))
        .with_bias(bias)
        .with_initializer(Initializer::Zeros)
        .init(device);
    layer.weight = Param::from_tensor(tensor(rng, [shape.outputs, shape.inputs, shape.kernel[0], shape.kernel[1]], device));
    layer.bias = layer.bias.map(|_| Param::from_tensor(tensor(rng, [shape.outputs], device)));
    layer
}

/// A batch norm with parameters and statistics unlike the initial ones.
fn norm(rng: &mut ChaCha8Rng, channels: usize, device: &Device) -> BatchNorm {
    let mut norm = BatchNormConfig::new(channels).init(device);
    norm.gamma = Param::from_tensor(tensor(rng, [channels], device));
    norm.beta = Param::from_tensor(tensor(rng, [channels], device));
    norm.running_mean.update(tensor(rng, [channels], device));
    norm.running_var.update(tensor(rng, [channels], device).abs() + 0.5);
    norm
}

/// Output, gradients of input and parameters, and running statistics of a convolution and a batch norm in training.
fn train_once(seed: u64, shape: &Convolution, bias: bool, then_relu: bool, offset: f32) -> Vec<(&'static str, Vec<f32>)> {
    let device = Device::flex().autodiff();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (layer, norm) = (layer(&mut rng, shape, bias, &device), norm(&mut rng, shape.outputs, &device));
    let x_bchw = tensor(&mut rng, [shape.n_images, shape.inputs, shape.size[0], shape.size[1]], &device).add_scalar(offset);
    let x_bchw = x_bchw.require_grad();
    let y_bchw = normalised_convolution(&layer, &norm, then_relu, x_bchw.clone());
    let weights_bchw = tensor(&mut rng, y_bchw.dims(), &device);
    let gradients = (y_bchw.clone() * weights_bchw).sum().backward();
    vec![
        ("output", read(y_bchw)),
        ("input gradient", read(x_bchw.grad(&gradients).unwrap())),
        ("weight gradient", read(layer.weight.val().grad(&gradients).unwrap())),
        ("gamma gradient", read(norm.gamma.val().grad(&gradients).unwrap())),
        ("beta gradient", read(norm.beta.val().grad(&gradients).unwrap())),
        ("running mean", read(norm.running_mean.value_sync())),
        ("running variance", read(norm.running_var.value_sync())),
    ]
}

#[test]
fn training_goes_as_with_the_plain_layers() {
    let shapes = all_convolutions().into_iter().filter(|shape| {
        // Over fewer positions a batch norm divides rounding by next to nothing.
        let [height, width] = shape.output().unwrap();
        shape.n_images * height * width >= 16
    });
    for (seed, shape) in shapes.enumerate().step_by(2) {
        let (bias, then_relu) = (seed % 4 == 0, seed % 3 != 0);
        let found = train_once(seed as u64, &shape, bias, then_relu, 0.0);
        let expected = plain(|| train_once(seed as u64, &shape, bias, then_relu, 0.0));
        for ((what, found), (_, expected)) in found.iter().zip(&expected) {
            let largest = expected.iter().fold(1e-6_f32, |largest, value| largest.max(value.abs()));
            let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0_f32, f32::max);
            // Near a ReLU's corner rounding decides on which side a value is, and with it a whole gradient.
            let tolerance = if then_relu { 1e-3 } else { 1e-4 };
            assert!(worst <= tolerance * largest, "{what} of {shape:?}: off by {worst} of {largest}");
        }
    }
}

#[test]
fn a_convolution_with_a_bias_trains_as_the_plain_layer() {
    let device = Device::flex().autodiff();
    let run = || {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let shape = usual_convolutions()[1];
        let layer = layer(&mut rng, &shape, true, &device);
        let x_bchw = tensor(&mut rng, [shape.n_images, shape.inputs, 32, 32], &device).require_grad();
        let y_bchw = convolution(&layer, x_bchw.clone());
        let gradients = (y_bchw.clone() * y_bchw.clone()).sum().backward();
        let bias = layer.bias.unwrap().val().grad(&gradients).unwrap();
        [read(y_bchw), read(x_bchw.grad(&gradients).unwrap()), read(layer.weight.val().grad(&gradients).unwrap()), read(bias)]
    };
    for (found, expected) in run().iter().zip(&plain(run)) {
        assert_close("convolution with a bias", found, expected);
    }
}

#[test]
fn inference_folds_to_what_the_plain_layers_give() {
    for (seed, shape) in all_convolutions().iter().enumerate().step_by(2) {
        let device = Device::flex();
        let mut rng = ChaCha8Rng::seed_from_u64(seed as u64);
        let autodiff = device.clone().autodiff();
        let layer = layer(&mut rng, shape, seed % 4 == 0, &autodiff).valid();
        let norm = norm(&mut rng, shape.outputs, &autodiff).valid();
        let x_bchw = tensor(&mut rng, [shape.n_images, shape.inputs, shape.size[0], shape.size[1]], &device);
        for then_relu in [false, true] {
            let run = || {
                let y_bchw = normalised_convolution(&layer, &norm, then_relu, x_bchw.clone());
                let alone_bchw = convolution(&layer, x_bchw.clone());
                [read(y_bchw), read(normalisation(&norm, then_relu, alone_bchw.clone())), read(alone_bchw)]
            };
            for (found, expected) in run().iter().zip(&plain(run)) {
                assert_close(&format!("{shape:?}"), found, expected);
            }
        }
    }
}

#[test]
fn statistics_hold_far_from_zero() {
    // 1000 +- 1 in turns: mean 1000 and variance 1 exactly, which sums of squares in single precision would not find.
    let maps = Maps { n_images: 40, channels: 2, positions: 6 };
    let x_bchw: Vec<f32> = (0..480).map(|index| if index % 2 == 0 { 999.0 } else { 1001.0 }).collect();
    let (mean, variance) = normalisation::statistics(Arch::new(), &x_bchw, maps);
    assert_eq!((mean, variance), (vec![1000.0; 2], vec![1.0; 2]));
}

#[test]
fn a_number_that_is_none_is_passed_on() {
    for spoilt in [f32::NAN, f32::INFINITY] {
        let shape = usual_convolutions()[0];
        let device = Device::flex().autodiff();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (layer, norm) = (layer(&mut rng, &shape, false, &device), norm(&mut rng, shape.outputs, &device));
        let mut values = numbers_of(&mut rng, shape.n_images * 3 * 32 * 32);
        values[1234] = spoilt;
        let x_bchw = Tensor::<4>::from_data(TensorData::new(values.clone(), [shape.n_images, 3, 32, 32]), &device);
        let y_bchw = normalised_convolution(&layer, &norm, true, x_bchw);
        let gradients = y_bchw.clone().sum().backward();
        assert!(read(y_bchw).iter().all(|value| value.is_nan()), "every channel meets the image that is spoilt");
        assert!(read(layer.weight.val().grad(&gradients).unwrap()).iter().all(|value| value.is_nan()));

        let x_bchw = Tensor::<4>::from_data(TensorData::new(values, [shape.n_images, 3, 32, 32]), &Device::flex());
        let y_bchw = read(normalised_convolution(&layer.valid(), &norm.valid(), true, x_bchw));
        assert!(y_bchw.iter().any(|value| !value.is_finite()));
    }
}

#[test]
fn a_batch_norm_that_is_frozen_keeps_its_statistics() {
    let device = Device::flex().autodiff();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let norm = norm(&mut rng, 6, &device).freeze();
    let before = read(norm.running_mean.value_sync());
    let x_bchw = tensor(&mut rng, [2, 6, 4, 4], &device);
    let found = read(normalisation(&norm, true, x_bchw.clone()));
    assert_eq!(found, read(relu(norm.forward(x_bchw))));
    assert_eq!(read(norm.running_mean.value_sync()), before);
}
