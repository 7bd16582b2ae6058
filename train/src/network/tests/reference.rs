//! A network once more, from its description and the modules' weights, in f64 and straight from the definitions.

use offramp_domain::backbone::{MapRef, Part};

use super::super::modules::PartModule;
use super::*;

/// A batch of maps: image, channel, row, column.
#[derive(Clone)]
pub(super) struct Maps {
    pub(super) n_images: usize,
    pub(super) shape: Shape,
    pub(super) values: Vec<f64>,
}

impl Maps {
    fn build(n_images: usize, shape: Shape, value: impl Fn(usize, usize, usize, usize) -> f64) -> Self {
        let mut values = Vec::new();
        for image in 0..n_images {
            for channel in 0..shape.channels {
                for row in 0..shape.height {
                    values.extend((0..shape.width).map(|column| value(image, channel, row, column)));
                }
            }
        }
        Self { n_images, shape, values }
    }

    /// Zero outside the map.
    fn at(&self, image: usize, channel: usize, row: isize, column: isize) -> f64 {
        let Shape { channels, height, width } = self.shape;
        let inside = (0..height as isize).contains(&row) && (0..width as isize).contains(&column);
        if inside { self.values[((image * channels + channel) * height + row as usize) * width + column as usize] } else { 0.0 }
    }
}

fn numbers<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f64> {
    param.val().try_into_vec_as::<f32>().unwrap().into_iter().map(f64::from).collect()
}

fn convolve(layer: &layer::Conv2d, conv: &Conv2d, x: &Maps) -> Maps {
    let layer::Conv2d { outputs: n_outputs, kernel, stride, padding, groups, .. } = *layer;
    let (weight, bias) = (numbers(&conv.weight), conv.bias.as_ref().map(numbers));
    let (n_inputs, of_group) = (layer.inputs / groups, n_outputs / groups);
    let side = |size: usize| (size + 2 * padding - kernel) / stride + 1;
    Maps::build(x.n_images, Shape::new(n_outputs, side(x.shape.height), side(x.shape.width)), |image, output, row, column| {
        let mut sum = bias.as_ref().map_or(0.0, |bias| bias[output]);
        for input in 0..n_inputs {
            for k in 0..kernel * kernel {
                let row = (row * stride + k / kernel) as isize - padding as isize;
                let column = (column * stride + k % kernel) as isize - padding as isize;
                let channel = output / of_group * n_inputs + input;
                sum += weight[(output * n_inputs + input) * kernel * kernel + k] * x.at(image, channel, row, column);
            }
        }
        sum
    })
}

/// Folds the values of every window that lie on the map.
fn pool(x: &Maps, kernel: usize, stride: usize, padding: usize, fold: impl Fn(&[f64]) -> f64) -> Maps {
    let side = |size: usize| (size + 2 * padding - kernel) / stride + 1;
    let (height, width) = (x.shape.height as isize, x.shape.width as isize);
    Maps::build(x.n_images, Shape::new(x.shape.channels, side(x.shape.height), side(x.shape.width)), |image, channel, row, column| {
        let along = |at: usize, size: isize| {
            let start = (at * stride) as isize - padding as isize;
            (start.max(0)..(start + kernel as isize).min(size)).collect::<Vec<_>>()
        };
        let mut window = Vec::new();
        for &row in &along(row, height) {
            window.extend(along(column, width).iter().map(|&column| x.at(image, channel, row, column)));
        }
        fold(&window)
    })
}

/// (x - mean) / sqrt(variance + 1e-5) over the batch and all positions, the variance divided by their number; scale 1, shift 0.
fn normalise(x: &Maps) -> Maps {
    let positions = x.shape.positions();
    let of_channel = |channel: usize| {
        let chunks = x.values.chunks_exact(positions).enumerate();
        chunks.filter(move |(chunk, _)| chunk % x.shape.channels == channel).flat_map(|(_, values)| values.iter().copied())
    };
    let n = (x.n_images * positions) as f64;
    let statistics: Vec<(f64, f64)> = (0..x.shape.channels)
        .map(|channel| {
            let mean = of_channel(channel).sum::<f64>() / n;
            (mean, of_channel(channel).map(|value| (value - mean).powi(2)).sum::<f64>() / n)
        })
        .collect();
    Maps::build(x.n_images, x.shape, |image, channel, row, column| {
        let (mean, variance) = statistics[channel];
        (x.at(image, channel, row as isize, column as isize) - mean) / (variance + 1e-5).sqrt()
    })
}

fn linear(linear: &Linear, x: &Maps) -> Maps {
    let [n_inputs, n_outputs] = linear.weight.dims();
    let (weight, bias) = (numbers(&linear.weight), numbers(linear.bias.as_ref().unwrap()));
    Maps::build(x.n_images, Shape::new(n_outputs, 1, 1), |image, output, _, _| {
        let of_image = &x.values[image * n_inputs..][..n_inputs];
        bias[output] + of_image.iter().enumerate().map(|(input, value)| value * weight[input * n_outputs + output]).sum::<f64>()
    })
}

fn pointwise(x: &Maps, f: impl Fn(f64) -> f64) -> Maps {
    Maps { values: x.values.iter().map(|&value| f(value)).collect(), ..x.clone() }
}

pub(super) fn layers(layers: &[Layer], modules: &[LayerModule], x: Maps) -> Maps {
    layers.iter().zip(modules).fold(x, |x, (layer, module)| match (layer, module) {
        (Layer::Conv2d(layer), LayerModule::Conv2d(conv)) => convolve(layer, conv, &x),
        (Layer::BatchNorm { .. }, LayerModule::BatchNorm(_)) => normalise(&x),
        (Layer::Relu, LayerModule::Relu(_)) => pointwise(&x, |value| value.max(0.0)),
        (Layer::Relu6, LayerModule::Relu6(_)) => pointwise(&x, |value| value.clamp(0.0, 6.0)),
        (&Layer::MaxPool { kernel, stride, padding }, LayerModule::MaxPool(_)) => {
            pool(&x, kernel, stride, padding, |window| window.iter().copied().fold(f64::NEG_INFINITY, f64::max))
        }
        (&Layer::AveragePool { kernel, stride }, LayerModule::AveragePool(_)) => {
            pool(&x, kernel, stride, 0, |window| window.iter().sum::<f64>() / (kernel * kernel) as f64)
        }
        (Layer::GlobalAveragePool, LayerModule::GlobalAveragePool(_)) => {
            let means: Vec<f64> = x.values.chunks_exact(x.shape.positions()).map(|values| values.iter().sum::<f64>()).collect();
            let n = x.shape.positions() as f64;
            Maps { n_images: x.n_images, shape: Shape::new(x.shape.channels, 1, 1), values: means.iter().map(|sum| sum / n).collect() }
        }
        (Layer::Linear { .. }, LayerModule::Linear(module)) => linear(module, &x),
        (layer, module) => panic!("{layer:?} became {module:?}"),
    })
}

pub(super) fn unit(unit: &Unit, module: &UnitModule, mut maps: Vec<Maps>) -> Vec<Maps> {
    match (unit, module) {
        (Unit::Sequence(sequence), UnitModule::Sequence(modules)) => vec![layers(sequence, modules, maps.pop().unwrap())],
        (Unit::Residual { before, body, shortcut, after }, UnitModule::Residual(module)) => {
            let x = layers(before, &module.before, maps.pop().unwrap());
            let past = match (shortcut, &module.shortcut) {
                (Shortcut::Identity, _) => x.clone(),
                (&Shortcut::PadSubsample { stride, pad }, _) => {
                    let Shape { channels, height, width } = x.shape;
                    let shape = Shape::new(channels + 2 * pad, height.div_ceil(stride), width.div_ceil(stride));
                    Maps::build(x.n_images, shape, |image, channel, row, column| {
                        let is_kept = (pad..pad + channels).contains(&channel);
                        if is_kept { x.at(image, channel - pad, (row * stride) as isize, (column * stride) as isize) } else { 0.0 }
                    })
                }
                (Shortcut::Projection(projection), ShortcutModule::Projection(modules)) => layers(projection, modules, x.clone()),
                (shortcut, module) => panic!("{shortcut:?} became {module:?}"),
            };
            let sum = layers(body, &module.body, x);
            let values = sum.values.iter().zip(&past.values).map(|(a, b)| a + b).collect();
            vec![layers(after, &module.after, Maps { values, ..sum })]
        }
        (Unit::Joined(joined), UnitModule::Joined(modules)) => {
            let mut made: Vec<Maps> = Vec::new();
            for (map, module) in joined.iter().zip(modules) {
                let part = |(part, module): (&Part, &PartModule)| {
                    let from = match part.from {
                        MapRef::Input(index) => &maps[index],
                        MapRef::Output(index) => &made[index],
                    };
                    layers(&part.layers, &module.layers, from.clone())
                };
                made.push(concatenate(&map.parts.iter().zip(&module.parts).map(part).collect::<Vec<_>>()));
            }
            made
        }
        (unit, module) => panic!("{unit:?} became {module:?}"),
    }
}

/// Channels of one after those of the other.
fn concatenate(parts: &[Maps]) -> Maps {
    let channels: Vec<(usize, usize)> =
        parts.iter().enumerate().flat_map(|(part, maps)| (0..maps.shape.channels).map(move |channel| (part, channel))).collect();
    let Maps { n_images, shape, .. } = parts[0];
    Maps::build(n_images, Shape { channels: channels.len(), ..shape }, |image, channel, row, column| {
        let (part, channel) = channels[channel];
        parts[part].at(image, channel, row as isize, column as isize)
    })
}
