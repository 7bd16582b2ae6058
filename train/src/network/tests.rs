use burn::module::{ModuleVisitor, Param};
use burn::nn::conv::Conv2d;
use burn::nn::{Identity, Linear, Relu};
use burn::tensor::TensorData;
use offramp_domain::backbone::{self, Backbone, Shortcut, Unit};
use offramp_domain::job::{BranchConfig, BranchRule, Budget, ExitPlacement, Pattern};
use offramp_domain::layer::{self, Layer};
use offramp_domain::network::assemble_parts;
use offramp_domain::shape::Shape;

use super::modules::{GlobalAveragePool, PadSubsample, ResidualModule, ShortcutModule};
use super::*;

mod paths;

const GREY_8: Shape = Shape::new(1, 8, 8);
const COLOUR_32: Shape = Shape::new(3, 32, 32);

fn network(name: &str, input: Shape, n_classes: usize, branches: Option<&BranchConfig>) -> Network {
    assemble_parts(backbone::build(name, input, n_classes).unwrap(), n_classes, branches).unwrap()
}

fn six_levels(pattern: Pattern) -> BranchConfig {
    BranchConfig { exits: ExitPlacement::StageEnds, pattern, budget: Budget::Levels(6), rule: BranchRule::Auto }
}

/// Two convolutions a branch, at six places that are not the ends of stages.
fn a_quarter_at_six_places() -> BranchConfig {
    BranchConfig {
        exits: ExitPlacement::Fractions(vec![0.15, 0.30, 0.45, 0.60, 0.75, 0.90]),
        pattern: Pattern::Decreasing(0.6),
        budget: Budget::Share(0.25),
        rule: BranchRule::Width { depth: 2 },
    }
}

/// Parameters that the optimiser may change, by the order of visit.
#[derive(Default)]
struct Trainable(Vec<Vec<f32>>);

impl ModuleVisitor for Trainable {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.0.push(param.val().try_into_vec_as().unwrap());
        }
    }
}

fn trainable(model: &impl Module) -> Vec<Vec<f32>> {
    let mut visitor = Trainable::default();
    model.visit(&mut visitor);
    visitor.0
}

fn n_trainable(model: &impl Module) -> u64 {
    trainable(model).iter().map(|values| values.len() as u64).sum()
}

fn zeros(shape: Shape) -> Tensor<4> {
    Tensor::zeros([2, shape.channels, shape.height, shape.width], &Device::flex())
}

/// Builds the modules and compares with the domain's numbers: parameters in all and up to every unit, the shape at every unit, and one set of
/// logits an exit.
fn check_agreement(network: &Network) {
    let Backbone { name, input, units, .. } = &network.backbone;
    let model = MultiExit::new(network, 0, &Device::flex().autodiff());
    assert_eq!(n_trainable(&model), network.params(), "{name}: parameters");

    let cumulative = network.backbone.cumulative();
    let evaluated = model.valid();
    let mut n_params = 0;
    let mut features = Features::of_input(zeros(*input));
    for (index, expected) in cumulative.iter().enumerate() {
        n_params += n_trainable(&model.units[index]);
        assert_eq!(n_params, expected.params, "{name}: parameters up to unit {index} of {}", units.len());
        features = evaluated.units[index].forward(features);
        let Shape { channels, height, width } = expected.output;
        assert_eq!(features.at_exit().dims(), [2, channels, height, width], "{name}: shape after unit {index} of {}", units.len());
    }
    for (module, branch) in model.branches.iter().zip(&network.branches) {
        assert_eq!(module.unit, branch.unit);
        assert_eq!(branch.input, cumulative[branch.unit].output, "{name}: shape at the exit after unit {}", branch.unit);
        assert_eq!(n_trainable(&module.layers), layer::summarise(&branch.layers, branch.input).params, "{name}: parameters of a branch");
    }
    let logits: Vec<_> = evaluated.forward(zeros(*input)).iter().map(Tensor::dims).collect();
    assert_eq!(logits, vec![[2, network.n_classes]; network.n_exits()], "{name}: logits");
}

#[test]
fn modules_agree_with_the_description_of_residual_networks_on_small_images() {
    for name in backbone::names().filter(|name| name.starts_with("resnet") && backbone::build(name, GREY_8, 10).is_ok()) {
        check_agreement(&network(name, GREY_8, 10, None));
        for pattern in [Pattern::Constant, Pattern::Increasing(0.5), Pattern::Decreasing(0.5)] {
            check_agreement(&network(name, GREY_8, 10, Some(&six_levels(pattern))));
        }
    }
}

#[test]
fn modules_agree_with_the_description_between_stages_and_on_larger_images() {
    for name in ["resnet20", "resnet20-b", "resnet56", "resnet56-b", "resnet110"] {
        check_agreement(&network(name, COLOUR_32, 100, Some(&six_levels(Pattern::Decreasing(0.5)))));
        check_agreement(&network(name, COLOUR_32, 10, Some(&a_quarter_at_six_places())));
    }
}

/// Published parameter counts of the plain networks on CIFAR-10: He et al. (2016), table 6, rounded there to 0.27 M, 0.85 M and 1.7 M; these exact
/// ones are what public implementations with batch norm's scale and shift report.
#[test]
fn modules_have_the_published_numbers_of_parameters() {
    for (name, expected) in [("resnet20", 269_722), ("resnet20-b", 272_474), ("resnet56", 853_018), ("resnet110", 1_727_962)] {
        let model = MultiExit::new(&network(name, COLOUR_32, 10, None), 0, &Device::flex().autodiff());
        assert_eq!(n_trainable(&model), expected, "{name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_backbone_whatever_the_branches() {
    let device = Device::flex().autodiff();
    let weights = |branches: Option<&BranchConfig>, seed| {
        let model = MultiExit::new(&network("resnet8", GREY_8, 10, branches), seed, &device);
        (trainable(&model.units), trainable(&model.head))
    };
    let plain = weights(None, 3);
    assert_eq!(weights(Some(&six_levels(Pattern::Decreasing(0.5))), 3), plain);
    assert_eq!(weights(Some(&six_levels(Pattern::Increasing(0.5))), 3), plain);
    assert_ne!(weights(None, 4), plain);
}

#[test]
fn weights_start_with_the_stated_spread() {
    let device = Device::flex();
    let mut builder = Builder { rng: chance::stream(1, Purpose::Weights, 0), device: &device };
    // 3x3, 64 to 64 channels: 36,864 draws of variance 2 / (9 * 64) = 0.003472; five standard errors are 3.7 %.
    let values: Vec<f32> = builder.conv2d(layer::Conv2d::new(64, 64, 3, 1)).weight.val().try_into_vec_as().unwrap();
    let variance = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / values.len() as f64;
    assert!((variance / 0.003_472_2 - 1.0).abs() < 0.037, "{variance}");
    // 64 inputs: uniform within 1/8. Of 6,400 draws the greatest is within 1 % of the bound but for odds of e^-64.
    let values: Vec<f32> = builder.linear(64, 100).weight.val().try_into_vec_as().unwrap();
    let greatest = values.iter().copied().fold(0.0, |greatest: f32, value| greatest.max(value.abs()));
    assert!((0.12375..=0.125).contains(&greatest), "{greatest}");
}

fn map<const H: usize, const W: usize>(rows: [[f32; W]; H]) -> Tensor<4> {
    Tensor::<2>::from_data(rows, &Device::flex()).unsqueeze()
}

#[test]
fn option_a_keeps_every_second_position_between_zero_channels() {
    let x_bchw = map([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [9.0, 10.0, 11.0, 12.0], [13.0, 14.0, 15.0, 16.0]]);
    let y_bchw = PadSubsample { stride: 2, pad: 1 }.forward(x_bchw);
    assert_eq!(y_bchw.dims(), [1, 3, 2, 2]);
    let values: Vec<f32> = y_bchw.try_into_vec_as().unwrap();
    assert_eq!(values, [0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 9.0, 11.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_residual_unit_rectifies_the_sum_by_hand() {
    // The body doubles and changes the sign, so x + body(x) = -x: 1 and -3 become 0 and 3.
    let device = Device::flex();
    let mut builder = Builder { rng: chance::stream(0, Purpose::Weights, 0), device: &device };
    let mut conv = builder.conv2d(layer::Conv2d::new(1, 1, 1, 1));
    conv.weight = Param::from_data([[[[-2.0_f32]]]], &device);
    let unit = ResidualModule {
        before: Vec::new(),
        body: vec![LayerModule::Conv2d(conv)],
        shortcut: ShortcutModule::Identity(Identity),
        after: vec![LayerModule::Relu(Relu::new())],
    };
    let values: Vec<f32> =
        UnitModule::Residual(unit).forward(Features::of_input(map([[1.0, -3.0]]))).at_exit().clone().try_into_vec_as().unwrap();
    assert_eq!(values, [0.0, 3.0]);
}

#[test]
fn a_classifier_pools_and_maps_by_hand() {
    let device = Device::flex();
    let mut builder = Builder { rng: chance::stream(0, Purpose::Weights, 0), device: &device };
    let mut linear = builder.linear(1, 2);
    linear.weight = Param::from_data([[2.0_f32, -1.0]], &device);
    linear.bias = Some(Param::from_data([0.5_f32, 0.0], &device));
    let layers = [LayerModule::GlobalAveragePool(GlobalAveragePool), LayerModule::Linear(linear)];
    // The mean of 1, 2, 3, 6 is 3.
    let values: Vec<f32> = classify(&layers, map([[1.0, 2.0], [3.0, 6.0]])).try_into_vec_as().unwrap();
    assert_eq!(values, [6.5, -3.0]);
}

/// The same network once more, from its description and the modules' weights, in f64 and straight from the definitions.
mod reference {
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

    fn convolve(conv: &Conv2d, x: &Maps, padding: usize) -> Maps {
        let [n_outputs, n_inputs, kernel, _] = conv.weight.dims();
        let (weight, stride) = (numbers(&conv.weight), conv.stride[0]);
        let side = |size: usize| (size + 2 * padding - kernel) / stride + 1;
        Maps::build(x.n_images, Shape::new(n_outputs, side(x.shape.height), side(x.shape.width)), |image, output, row, column| {
            let mut sum = 0.0;
            for input in 0..n_inputs {
                for k in 0..kernel * kernel {
                    let row = (row * stride + k / kernel) as isize - padding as isize;
                    let column = (column * stride + k % kernel) as isize - padding as isize;
                    sum += weight[(output * n_inputs + input) * kernel * kernel + k] * x.at(image, input, row, column);
                }
            }
            sum
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
            bias[output] + (0..n_inputs).map(|input| x.at(image, input, 0, 0) * weight[input * n_outputs + output]).sum::<f64>()
        })
    }

    fn pointwise(x: &Maps, f: impl Fn(f64) -> f64) -> Maps {
        Maps { values: x.values.iter().map(|&value| f(value)).collect(), ..x.clone() }
    }

    pub(super) fn layers(layers: &[Layer], modules: &[LayerModule], x: Maps) -> Maps {
        layers.iter().zip(modules).fold(x, |x, (layer, module)| match (layer, module) {
            (Layer::Conv2d(layer), LayerModule::Conv2d(conv)) => convolve(conv, &x, layer.padding),
            (Layer::BatchNorm { .. }, LayerModule::BatchNorm(_)) => normalise(&x),
            (Layer::Relu, LayerModule::Relu(_)) => pointwise(&x, |value| value.max(0.0)),
            (Layer::GlobalAveragePool, LayerModule::GlobalAveragePool(_)) => {
                let means: Vec<f64> = x.values.chunks_exact(x.shape.positions()).map(|values| values.iter().sum::<f64>()).collect();
                let n = x.shape.positions() as f64;
                Maps { n_images: x.n_images, shape: Shape::new(x.shape.channels, 1, 1), values: means.iter().map(|sum| sum / n).collect() }
            }
            (Layer::Linear { .. }, LayerModule::Linear(module)) => linear(module, &x),
            (layer, module) => panic!("{layer:?} became {module:?}"),
        })
    }

    pub(super) fn unit(unit: &Unit, module: &UnitModule, x: Maps) -> Maps {
        match (unit, module) {
            (Unit::Sequence(sequence), UnitModule::Sequence(modules)) => layers(sequence, modules, x),
            (Unit::Residual { before, body, shortcut, after }, UnitModule::Residual(module)) => {
                let x = layers(before, &module.before, x);
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
                layers(after, &module.after, Maps { values, ..sum })
            }
            (unit, module) => panic!("{unit:?} became {module:?}"),
        }
    }
}

#[test]
fn logits_agree_with_the_definitions_computed_in_f64() {
    for (name, input) in [("resnet8", GREY_8), ("resnet8-b", GREY_8), ("resnet14", Shape::new(3, 9, 8))] {
        let network = network(name, input, 10, Some(&six_levels_or_two_convolutions(input)));
        let device = Device::flex().autodiff();
        let model = MultiExit::new(&network, 5, &device);
        let mut rng = chance::stream(5, Purpose::Augment, 0);
        let values: Vec<f32> = (0..3 * input.channels * input.positions()).map(|_| chance::normal(&mut rng) as f32).collect();

        let mut x = reference::Maps { n_images: 3, shape: input, values: values.iter().copied().map(f64::from).collect() };
        let mut expected = Vec::new();
        for (index, (unit, module)) in network.backbone.units.iter().zip(&model.units).enumerate() {
            x = reference::unit(unit, module, x);
            for (branch, module) in network.branches.iter().zip(&model.branches).filter(|(branch, _)| branch.unit == index) {
                expected.push(reference::layers(&branch.layers, &module.layers, x.clone()).values);
            }
        }
        expected.push(reference::layers(&network.backbone.head, &model.head, x).values);

        let shape = [3, input.channels, input.height, input.width];
        let logits = model.forward(Tensor::from_data(TensorData::new(values, shape), &device));
        assert_eq!(logits.len(), expected.len());
        for (exit, (logits_bk, expected)) in logits.into_iter().zip(expected).enumerate() {
            let logits: Vec<f32> = logits_bk.try_into_vec_as().unwrap();
            let worst = logits.iter().zip(&expected).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
            assert!(logits.len() == expected.len() && worst < 1e-4, "{name}, exit {exit}: off by {worst}");
        }
    }
}

/// Levels where they cost the same at every exit; on a map with an odd side they don't.
fn six_levels_or_two_convolutions(input: Shape) -> BranchConfig {
    if input == GREY_8 {
        six_levels(Pattern::Decreasing(0.5))
    } else {
        BranchConfig { exits: ExitPlacement::StageEnds, ..a_quarter_at_six_places() }
    }
}
