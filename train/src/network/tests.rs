use burn::module::ModuleVisitor;
use offramp_domain::backbone::{self, Backbone};
use offramp_domain::job::{BranchConfig, BranchRule, Budget, ExitPlacement, Pattern};
use offramp_domain::network::assemble_parts;
use offramp_domain::shape::Shape;

use super::*;

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
    let mut x_bchw = zeros(*input);
    for (index, expected) in cumulative.iter().enumerate() {
        n_params += n_trainable(&model.units[index]);
        assert_eq!(n_params, expected.params, "{name}: parameters up to unit {index} of {}", units.len());
        x_bchw = evaluated.units[index].forward(x_bchw);
        let Shape { channels, height, width } = expected.output;
        assert_eq!(x_bchw.dims(), [2, channels, height, width], "{name}: shape after unit {index} of {}", units.len());
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
fn modules_agree_with_the_description_of_every_backbone_on_small_images() {
    for name in backbone::names() {
        check_agreement(&network(&name, GREY_8, 10, None));
        for pattern in [Pattern::Constant, Pattern::Increasing(0.5), Pattern::Decreasing(0.5)] {
            check_agreement(&network(&name, GREY_8, 10, Some(&six_levels(pattern))));
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
    let values: Vec<f32> =
        builder.conv2d(layer::Conv2d { inputs: 64, outputs: 64, kernel: 3, stride: 1, padding: 1 }).weight.val().try_into_vec_as().unwrap();
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
    let mut conv = builder.conv2d(layer::Conv2d { inputs: 1, outputs: 1, kernel: 1, stride: 1, padding: 0 });
    conv.weight = Param::from_data([[[[-2.0_f32]]]], &device);
    let unit = ResidualModule { body: vec![LayerModule::Conv2d(conv)], shortcut: ShortcutModule::Identity(Identity) };
    let values: Vec<f32> = UnitModule::Residual(unit).forward(map([[1.0, -3.0]])).try_into_vec_as().unwrap();
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
