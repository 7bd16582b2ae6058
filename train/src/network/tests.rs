use burn::module::{ModuleVisitor, Param};
use burn::nn::conv::Conv2d;
use burn::nn::{Identity, Linear, Relu};
use burn::tensor::TensorData;
use offramp_domain::backbone::{self, Backbone, BackboneError, Shortcut, Unit};
use offramp_domain::job::{BranchConfig, BranchRule, Budget, ExitPlacement, Pattern};
use offramp_domain::layer::{self, Layer};
use offramp_domain::network::assemble_parts;
use offramp_domain::shape::Shape;

use super::modules::{GlobalAveragePool, PadSubsample, ResidualModule, ShortcutModule};
use super::*;

mod paths;
mod reference;

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

/// Two convolutions a branch, in networks of any family.
fn three_eighths_at_three_places() -> BranchConfig {
    BranchConfig { exits: ExitPlacement::Fractions(vec![0.2, 0.45, 0.7]), budget: Budget::Share(0.375), ..a_quarter_at_six_places() }
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

/// Counts without reading: the largest networks have tens of millions.
#[derive(Default)]
struct Count(u64);

impl ModuleVisitor for Count {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.0 += param.dims().into_iter().product::<usize>() as u64;
        }
    }
}

fn n_trainable(model: &impl Module) -> u64 {
    let mut visitor = Count::default();
    model.visit(&mut visitor);
    visitor.0
}

fn zeros(shape: Shape) -> Tensor<4> {
    Tensor::zeros([1, shape.channels, shape.height, shape.width], &Device::flex())
}

/// The least square image that a backbone takes.
fn least_input(name: &str, channels: usize) -> Shape {
    match backbone::build(name, Shape::new(channels, 1, 1), 10) {
        Err(BackboneError::InputTooSmall { least, .. }) => Shape::new(channels, least, least),
        other => panic!("{name} takes one pixel: {other:?}"),
    }
}

/// A backbone with the exits that it was published with, if it was.
fn with_own_exits(backbone: Backbone, n_classes: usize) -> Network {
    let own = BranchConfig { exits: ExitPlacement::Own, pattern: Pattern::Own, ..a_quarter_at_six_places() };
    let branches = (!backbone.own_exits.is_empty()).then_some(&own);
    assemble_parts(backbone, n_classes, branches).unwrap()
}

/// Builds the modules and compares with the domain's numbers: parameters in all and up to every unit, the shape at every unit, and one set of
/// logits an exit.
fn check_agreement(network: &Network) {
    let Backbone { name, input, units, .. } = &network.backbone;
    let model = MultiExit::blank(network, &Device::flex().autodiff());
    assert_eq!(n_trainable(&model), network.params(), "{name}: parameters");

    let cumulative = network.backbone.cumulative();
    let evaluated = model.valid();
    let mut n_params = 0;
    let mut features = Features::of_input(zeros(*input));
    let mut logits = Vec::new();
    for (index, expected) in cumulative.iter().enumerate() {
        n_params += n_trainable(&model.units[index]);
        assert_eq!(n_params, expected.params, "{name}: parameters up to unit {index} of {}", units.len());
        features = evaluated.units[index].forward(features);
        let Shape { channels, height, width } = expected.output;
        assert_eq!(features.at_exit().dims(), [1, channels, height, width], "{name}: shape after unit {index} of {}", units.len());
        if evaluated.branches.get(logits.len()).is_some_and(|branch| branch.unit == index) {
            logits.push(evaluated.classify(logits.len(), features.at_exit().clone()).dims());
        }
    }
    logits.push(evaluated.classify(logits.len(), features.at_exit().clone()).dims());
    for (module, branch) in model.branches.iter().zip(&network.branches) {
        assert_eq!(module.unit, branch.unit);
        assert_eq!(branch.input, cumulative[branch.unit].output, "{name}: shape at the exit after unit {}", branch.unit);
        assert_eq!(n_trainable(&module.layers), layer::summarise(&branch.layers, branch.input).params, "{name}: parameters of a branch");
    }
    assert_eq!(logits, vec![[1, network.n_classes]; network.n_exits()], "{name}: logits");
}

#[test]
fn modules_agree_with_the_description_of_every_backbone() {
    for name in backbone::names() {
        check_agreement(&with_own_exits(backbone::build(name, least_input(name, 3), 10).unwrap(), 10));
    }
}

#[test]
fn modules_agree_with_the_description_of_branches_on_every_family() {
    for name in [
        "resnet14",
        "resnet14-b",
        "resnet18",
        "wrn-16-4",
        "vgg11-bn",
        "mobilenetv1",
        "mobilenetv2",
        "densenet-bc-40-12",
        "msdnet-5-1-1-linear",
    ] {
        check_agreement(&network(name, least_input(name, 1), 7, Some(&three_eighths_at_three_places())));
    }
}

#[test]
fn modules_agree_with_the_description_on_images_that_are_no_powers_of_two() {
    for (name, input) in
        [("resnet14", Shape::new(1, 9, 14)), ("wrn-10-1", Shape::new(2, 11, 7)), ("densenet-bc-10-12", Shape::new(3, 13, 9))]
    {
        check_agreement(&network(name, input, 10, None));
    }
    check_agreement(&with_own_exits(backbone::build("msdnet-5-1-1-linear", Shape::new(3, 21, 18), 10).unwrap(), 10));
    check_agreement(&network("resnet18-imagenet", Shape::new(3, 45, 50), 10, None));
    check_agreement(&network("vgg11-bn-imagenet", Shape::new(3, 70, 40), 10, None));
    for pattern in [Pattern::Constant, Pattern::Increasing(0.5), Pattern::Decreasing(0.5)] {
        check_agreement(&network("resnet20", COLOUR_32, 100, Some(&six_levels(pattern))));
    }
    check_agreement(&network("resnet56", COLOUR_32, 10, Some(&a_quarter_at_six_places())));
}

/// Parameter counts of the plain networks that public implementations report, batch norm's scale and shift included. Those of residual networks are what
/// He et al. (2016), table 6, round to 0.27 M, 0.85 M and 1.7 M; that of the wide one is in Zagoruyko and Komodakis' table 4 as 36.5 M; the last three are torchvision's.
#[test]
fn modules_have_the_published_numbers_of_parameters() {
    let small = [
        ("resnet20", 269_722),
        ("resnet20-b", 272_474),
        ("resnet56", 853_018),
        ("resnet110", 1_727_962),
        ("resnet18", 11_173_962),
        ("wrn-28-10", 36_479_194),
        ("wrn-32-4-sdn", 7_404_074),
        ("vgg16-bn", 14_728_266),
        ("vgg16-bn-nobias", 14_724_042),
        ("vgg16-bn-fc512", 15_253_578),
        ("mobilenetv1", 3_217_226),
        ("mobilenetv2", 2_236_682),
        ("mobilenetv2-projection", 2_296_922),
        ("densenet-bc-100-12", 769_162),
    ];
    for (name, expected) in small {
        let model = MultiExit::blank(&network(name, COLOUR_32, 10, None), &Device::flex().autodiff());
        assert_eq!(n_trainable(&model), expected, "{name}");
    }
    for (name, expected) in [("resnet18-imagenet", 11_689_512), ("resnet50-imagenet", 25_557_032), ("mobilenetv2-imagenet", 3_504_872)] {
        let model = MultiExit::blank(&network(name, Shape::new(3, 224, 224), 1_000, None), &Device::flex().autodiff());
        assert_eq!(n_trainable(&model), expected, "{name}");
    }
    // All exits of the multi-scale networks for CIFAR-100, as the public implementation counts them.
    for (name, expected) in [("msdnet-10-4-2", 4_955_644), ("msdnet-7-4-2", 3_067_960), ("msdnet-5-1-1-linear", 2_078_924)] {
        let network = with_own_exits(backbone::build(name, COLOUR_32, 100).unwrap(), 100);
        assert_eq!(n_trainable(&MultiExit::blank(&network, &Device::flex().autodiff())), expected, "{name}");
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
    let mut builder = Builder { rng: Some(chance::stream(1, Purpose::Weights, 0)), device: &device };
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
    let mut builder = Builder { rng: Some(chance::stream(0, Purpose::Weights, 0)), device: &device };
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
    let mut builder = Builder { rng: Some(chance::stream(0, Purpose::Weights, 0)), device: &device };
    let mut linear = builder.linear(1, 2);
    linear.weight = Param::from_data([[2.0_f32, -1.0]], &device);
    linear.bias = Some(Param::from_data([0.5_f32, 0.0], &device));
    let layers = [LayerModule::GlobalAveragePool(GlobalAveragePool), LayerModule::Linear(linear)];
    // The mean of 1, 2, 3, 6 is 3.
    let values: Vec<f32> = classify(&layers, map([[1.0, 2.0], [3.0, 6.0]])).try_into_vec_as().unwrap();
    assert_eq!(values, [6.5, -3.0]);
}

/// One network of every family that a debug build computes in a moment; between them they have every kind of unit and layer.
#[test]
fn logits_agree_with_the_definitions_computed_in_f64() {
    let levels = |name, input| network(name, input, 10, Some(&six_levels(Pattern::Decreasing(0.5))));
    let widths =
        |name, input| network(name, input, 10, Some(&BranchConfig { exits: ExitPlacement::StageEnds, ..three_eighths_at_three_places() }));
    check_logits(&levels("resnet8", GREY_8));
    check_logits(&levels("resnet8-b", GREY_8));
    check_logits(&network(
        "resnet14",
        Shape::new(3, 9, 8),
        10,
        Some(&BranchConfig { exits: ExitPlacement::StageEnds, ..a_quarter_at_six_places() }),
    ));
    check_logits(&widths("wrn-10-2", Shape::new(3, 4, 5)));
    check_logits(&first_inverted_residuals());
    check_logits(&widths("densenet-bc-16-12", Shape::new(3, 8, 9)));
    check_logits(&with_own_exits(backbone::build("msdnet-4-2-1", Shape::new(3, 16, 16), 10).unwrap(), 10));
    check_logits(&pooled_and_flattened());
}

/// MobileNetV2 up to the third stage's end. Further on, maps of so small an image are single values, and norms over them all but signs.
fn first_inverted_residuals() -> Network {
    let mut backbone = backbone::build("mobilenetv2", GREY_8, 10).unwrap();
    backbone.units.truncate(7);
    backbone.stage_ends = vec![3, 6];
    backbone.head = vec![Layer::GlobalAveragePool, Layer::Linear { inputs: 32, outputs: 10 }];
    Network { backbone, branches: Vec::new(), final_branch: None, n_classes: 10, plan: None }
}

/// What only networks too large for this have: a padded maximum, groups of several channels, and a linear layer that reads a map as it is.
fn pooled_and_flattened() -> Network {
    let mut backbone = backbone::build("resnet8", GREY_8, 10).unwrap();
    backbone.units.truncate(1);
    backbone.stage_ends = vec![0];
    backbone.head = vec![
        Layer::Conv2d(layer::Conv2d { groups: 4, ..layer::Conv2d::new(16, 8, 3, 1) }),
        Layer::MaxPool { kernel: 5, stride: 3, padding: 2 },
        Layer::Linear { inputs: 8 * 3 * 3, outputs: 16 },
        Layer::Relu,
        Layer::Linear { inputs: 16, outputs: 10 },
    ];
    Network { backbone, branches: Vec::new(), final_branch: None, n_classes: 10, plan: None }
}

fn check_logits(network: &Network) {
    let Backbone { name, input, .. } = &network.backbone;
    let device = Device::flex().autodiff();
    let model = MultiExit::new(network, 5, &device);
    let mut rng = chance::stream(5, Purpose::Augment, 0);
    let values: Vec<f32> = (0..2 * input.channels * input.positions()).map(|_| chance::normal(&mut rng) as f32).collect();

    let mut maps = vec![reference::Maps { n_images: 2, shape: *input, values: values.iter().copied().map(f64::from).collect() }];
    let mut expected = Vec::new();
    for (index, (unit, module)) in network.backbone.units.iter().zip(&model.units).enumerate() {
        maps = reference::unit(unit, module, maps);
        for (branch, module) in network.branches.iter().zip(&model.branches).filter(|(branch, _)| branch.unit == index) {
            expected.push(reference::layers(&branch.layers, &module.layers, maps.last().unwrap().clone()).values);
        }
    }
    expected.push(reference::layers(&network.backbone.head, &model.head, maps.pop().unwrap()).values);

    let shape = [2, input.channels, input.height, input.width];
    let logits = model.forward(Tensor::from_data(TensorData::new(values, shape), &device));
    assert_eq!(logits.len(), expected.len());
    for (exit, (logits_bk, expected)) in logits.into_iter().zip(expected).enumerate() {
        let logits: Vec<f32> = logits_bk.try_into_vec_as().unwrap();
        let worst = logits.iter().zip(&expected).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
        assert!(logits.len() == expected.len() && worst < 1e-4, "{name}, exit {exit}: off by {worst}");
    }
}
