use burn::module::{ModuleVisitor, Param};
use offramp_domain::evaluation::{ExitRecords, Records};
use offramp_domain::job::{
    Augment, BranchConfig, BranchRule, Budget, Evaluation, ExitPlacement, Optimizer, Pattern, Policy, Precision, Recipe, Regime, Schedule,
};
use offramp_domain::network;

use super::*;
use crate::batches::Normalisation;
use crate::records;
use crate::regime::phases;
use crate::run::Observer;
use crate::split::Split;
use crate::training::{Job, exit_accuracy, train};
use offramp_data::{Images, LoadedDataset, digits};

struct Nobody;

impl Observer for Nobody {
    fn progress(&mut self, _progress: offramp_domain::outcome::Progress) {}

    fn records(&mut self, _records: &Records) {}

    fn stopped(&self) -> bool {
        false
    }
}

/// A job on the digits: `resnet8` with six levels of branches, decreasing; plain descent.
fn job(epochs: u32, optimizer: Optimizer) -> JobConfig {
    JobConfig::new(
        "resnet8",
        "digits",
        Some(BranchConfig {
            exits: ExitPlacement::StageEnds,
            pattern: Pattern::Decreasing(0.5),
            budget: Budget::Levels(6),
            rule: BranchRule::Auto,
        }),
        Recipe::new(epochs, 16, optimizer, Schedule::Cosine, Augment::None),
        Evaluation::new(0.1, vec![Policy::MaxSoftmax]),
        1,
    )
}

fn plain_descent() -> JobConfig {
    job(1, Optimizer::Sgd { lr: 1.0, momentum: 0.0, nesterov: false, weight_decay: 0.0 })
}

/// The first `n` training images, to train and to test on.
fn few_digits(n: usize) -> LoadedDataset {
    let all = digits::load().train;
    let few = Images { shape: all.shape, pixels: all.pixels[..n * all.image_len()].to_vec(), labels: all.labels[..n].to_vec() };
    LoadedDataset { train: few.clone(), test: few }
}

/// All of a dataset's training images to train on.
fn all_of(dataset: &LoadedDataset) -> Material<'_> {
    let everything = Split { train: (0..dataset.train.len() as u32).collect(), calibration: vec![0] };
    let normalisation = Normalisation::measure(&dataset.train, &everything.train);
    Material { dataset, normalisation, split: everything, n_classes: 10 }
}

#[test]
fn sixty_four_digits_are_learnt_by_heart() {
    let dataset = few_digits(64);
    let material = all_of(&dataset);
    let config = job(60, Optimizer::Sgd { lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 5e-4 });
    let network = network::assemble(&config).unwrap();
    let device = Device::flex();
    let job = Job { network: &network, config: &config, material: &material, device: &device, pretrained: None };
    let model = train(job, None, &mut Nobody).unwrap().model;
    let records = material.record_test(&model, &device, &Nobody).unwrap();
    assert_eq!(exit_accuracy(&records), [1.0; 4]);
    let mean_loss = |exit: &ExitRecords| exit.loss.iter().sum::<f32>() / 64.0;
    let losses: Vec<f32> = records.exits.iter().map(mean_loss).collect();
    assert!(losses.iter().all(|&loss| loss < 0.05), "{losses:?}");
}

/// All numbers of a model: those that gradients reach, and the running statistics.
#[derive(Default)]
struct Numbers {
    weights: Vec<f64>,
    statistics: Vec<f64>,
}

impl ModuleVisitor for Numbers {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = param.val().try_into_vec_as::<f32>().unwrap().into_iter().map(f64::from);
        if param.is_require_grad() { self.weights.extend(values) } else { self.statistics.extend(values) }
    }
}

fn numbers(model: &MultiExit) -> Numbers {
    let mut numbers = Numbers::default();
    model.visit(&mut numbers);
    numbers
}

/// Weights and statistics in the order of the modules.
fn everything(learner: &Learner) -> Vec<f64> {
    // A model for evaluation has nothing that gradients reach, so that all is in one list.
    numbers(&learner.model.valid()).statistics
}

fn fresh_learner(config: &JobConfig) -> Learner<'_> {
    learner_in_phase(config, 0)
}

fn learner_in_phase(config: &JobConfig, phase: usize) -> Learner<'_> {
    let network = network::assemble(config).unwrap();
    Learner::fresh(&network, config, phases(config, true)[phase], &Device::flex().autodiff())
}

fn first(n: u32) -> Vec<Sample> {
    (0..n).map(Sample::plain).collect()
}

#[test]
fn the_loss_of_a_step_is_the_sum_of_the_exits_cross_entropies() {
    let dataset = few_digits(16);
    let material = all_of(&dataset);
    let config = plain_descent();
    let learner = fresh_learner(&config);
    let x_bchw = records::to_device(&dataset.train, &material.normalisation, &first(16), &learner.device);
    // Softmax and logarithm here in f64 and from their definitions.
    let expected: f64 = learner
        .model
        .forward(x_bchw)
        .into_iter()
        .map(|logits_bk| {
            let logits: Vec<f32> = logits_bk.try_into_vec_as().unwrap();
            let losses = logits.chunks_exact(10).zip(&dataset.train.labels).map(|(logits, &label)| {
                let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
                -(f64::from(logits[usize::from(label)]).exp() / sum).ln()
            });
            losses.sum::<f64>() / 16.0
        })
        .sum();
    let (_, loss) = fresh_learner(&config).step(&material, &first(16), 0.1, 0);
    let loss = f64::from(loss.into_scalar::<f32>());
    assert!((loss - expected).abs() < 1e-5 * expected, "{loss}, expected {expected}");
}

/// Along its own gradient g a loss falls at the rate |g|^2 a unit of learning rate: the difference quotient of losses, which needs no gradient, says
/// whether the gradients of all parameters through all exits, batch norms, shortcuts and poolings are right together. Trained so: the parts
/// that a phase trains, with distillation, smoothed targets and weights of exits.
fn check_gradients(config: &JobConfig, phase: usize) {
    let dataset = few_digits(64);
    let material = all_of(&dataset);
    let samples = first(64);
    let fresh = || learner_in_phase(config, phase);
    let before = numbers(&fresh().model).weights;
    let loss_after = |rate: f64| {
        let (moved, _) = fresh().step(&material, &samples, rate, 0);
        let (_, loss) = moved.step(&material, &samples, 0.0, 0);
        f64::from(loss.into_scalar::<f32>())
    };
    let (moved, _) = fresh().step(&material, &samples, 1.0, 0);
    let squared_norm: f64 = numbers(&moved.model).weights.iter().zip(&before).map(|(after, before)| (after - before).powi(2)).sum();

    let rate = 1e-4;
    let quotient = (loss_after(-rate) - loss_after(rate)) / (2.0 * rate);
    assert!((quotient / squared_norm - 1.0).abs() < 0.02, "{quotient}, expected {squared_norm}");
}

#[test]
fn gradients_agree_with_difference_quotients_of_the_loss() {
    check_gradients(&plain_descent(), 0);
}

#[test]
fn gradients_of_weighted_exits_and_smoothed_targets_agree_too() {
    let mut config = JobConfig { exit_weights: offramp_domain::job::ExitWeights::Linear, ..plain_descent() };
    config.recipe.label_smoothing = 0.2;
    check_gradients(&config, 0);
}

#[test]
fn gradients_of_branches_on_a_frozen_backbone_agree_too() {
    check_gradients(&JobConfig { regime: Regime::Frozen { backbone_epochs: 1 }, ..plain_descent() }, 1);
}

#[test]
fn a_frozen_backbone_and_its_statistics_do_not_change_by_a_bit() {
    let dataset = few_digits(32);
    let material = all_of(&dataset);
    let decayed = Optimizer::Sgd { lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.1 };
    let config = JobConfig { regime: Regime::Frozen { backbone_epochs: 1 }, ..job(1, decayed) };
    let network = network::assemble(&config).unwrap();
    let phases = phases(&config, true);
    let learner = Learner::fresh(&network, &config, phases[0], &Device::flex().autodiff());
    assert_eq!(learner.model.n_exits(), 1);
    let (learner, _) = learner.step(&material, &first(32), 0.1, 0);
    let backbone = everything(&learner);
    let learner = learner.go_on(&network, phases[1]);
    assert_eq!(learner.model.n_exits(), 4);
    let whole = everything(&learner);
    let (learner, _) = learner.step(&material, &first(32), 0.1, 0);
    let after = everything(&learner);

    // Backbone and head come first. Behind them begin the branches, whose first kernel has moved.
    let n_still = after.iter().zip(&whole).take_while(|(after, before)| after == before).count();
    assert_eq!(n_still, backbone.len());
    assert_eq!(after[..n_still], backbone[..]);
}

#[test]
fn a_second_phase_of_everything_starts_from_the_trained_backbone() {
    let dataset = few_digits(32);
    let material = all_of(&dataset);
    let config = JobConfig { regime: Regime::Mixed { backbone_epochs: 1 }, ..plain_descent() };
    let network = network::assemble(&config).unwrap();
    let phases = phases(&config, true);
    let learner = Learner::fresh(&network, &config, phases[0], &Device::flex().autodiff());
    let (learner, _) = learner.step(&material, &first(32), 0.1, 0);
    let backbone = numbers(&learner.model).weights;
    let learner = learner.go_on(&network, phases[1]);
    let (fresh, whole) = (numbers(&fresh_learner(&plain_descent()).model).weights, numbers(&learner.model).weights);
    assert_eq!(whole[..backbone.len()], backbone[..]);
    assert_eq!(whole[backbone.len()..], fresh[backbone.len()..]);
    assert_ne!(whole[..backbone.len()], fresh[..backbone.len()]);
    // And all of it moves.
    let (learner, _) = learner.step(&material, &first(32), 0.1, 0);
    assert_ne!(numbers(&learner.model).weights[..backbone.len()], backbone[..]);
}

/// bf16 has eight binary digits, so gradients through a handful of layers are right to a few per cent.
#[test]
fn a_step_in_bf16_moves_weights_and_statistics_as_one_in_32_bits_does() {
    let dataset = few_digits(32);
    let material = all_of(&dataset);
    let after = |precision: Precision| {
        let mut config = plain_descent();
        config.recipe.precision = precision;
        let (learner, _) = fresh_learner(&config).step(&material, &first(32), 0.1, 0);
        // Statistics are one step old until a model for evaluation was made.
        let _ = learner.model.valid();
        numbers(&learner.model)
    };
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    let (before, wide, narrow) = (numbers(&fresh_learner(&plain_descent()).model), after(Precision::F32), after(Precision::Bf16));
    for (what, before, wide, narrow) in
        [("weights", before.weights, wide.weights, narrow.weights), ("statistics", before.statistics, wide.statistics, narrow.statistics)]
    {
        let (error, moved) = (distance(&wide, &narrow), distance(&wide, &before));
        assert!(error > 0.0 && error < 0.1 * moved, "{what}: off by {error} of {moved}");
    }
}

#[test]
fn gradients_in_equilibrium_change_the_step_and_not_the_loss() {
    let dataset = few_digits(16);
    let material = all_of(&dataset);
    let config = plain_descent();
    let in_equilibrium = JobConfig { gradient_equilibrium: true, ..plain_descent() };
    let (summed, sum_loss) = fresh_learner(&config).step(&material, &first(16), 0.1, 0);
    let (even, even_loss) = fresh_learner(&in_equilibrium).step(&material, &first(16), 0.1, 0);
    assert_eq!(sum_loss.into_scalar::<f32>(), even_loss.into_scalar::<f32>());
    assert_ne!(numbers(&summed.model).weights, numbers(&even.model).weights);
}

#[test]
fn a_step_in_bf16_is_near_one_in_f32_and_leaves_everything_in_f32() {
    let dataset = few_digits(64);
    let material = all_of(&dataset);
    let config = plain_descent();
    let mut in_16_bits = plain_descent();
    in_16_bits.recipe.precision = Precision::Bf16;
    let before = numbers(&fresh_learner(&config).model).weights;
    let step = |config| {
        let (learner, loss) = fresh_learner(config).step(&material, &first(64), 1.0, 0);
        let all = numbers(&learner.model.valid()).statistics;
        let moves: Vec<f64> = numbers(&learner.model).weights.iter().zip(&before).map(|(after, before)| after - before).collect();
        (moves, all, f64::from(loss.into_scalar::<f32>()))
    };
    let norm = |numbers: &[f64]| numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
    let ((moves_32, all_32, loss_32), (moves_16, all_16, loss_16)) = (step(&config), step(&in_16_bits));
    // Numbers in bf16 have 8 significant bits: steps of 0.4 %, through a dozen layers and back.
    let apart: Vec<f64> = moves_16.iter().zip(&moves_32).map(|(a, b)| a - b).collect();
    let error = norm(&apart) / norm(&moves_32);
    assert!((1e-4..0.1).contains(&error), "{error}");
    assert!((loss_16 / loss_32 - 1.0).abs() < 0.02 && loss_16 != loss_32, "{loss_16}, {loss_32}");
    // Running statistics have moved with it, and as far.
    let error = norm(&all_16.iter().zip(&all_32).map(|(a, b)| a - b).collect::<Vec<_>>()) / norm(&all_32);
    assert!(error < 0.02, "{error}");
    // Weights that were rounded to bf16 would all have 16 bits of 0 at their end.
    assert!(all_16.iter().any(|&number| (number as f32).to_bits() & 0xffff != 0));
}

#[test]
fn training_starts_from_a_pretrained_backbone() {
    let config = plain_descent();
    let network = network::assemble(&config).unwrap();
    let (plain, device) = (Network { branches: Vec::new(), ..network.clone() }, Device::flex());
    let other = MultiExit::new(&network, 2, &device);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.safetensors");
    other.save(&network, &file).unwrap();
    let weights = Weights::read(&file).unwrap();

    let of = |model: &MultiExit| numbers(model).statistics;
    let n_backbone = of(&MultiExit::new(&plain, 1, &device)).len();
    let (fresh, other) = (of(&MultiExit::new(&network, 1, &device)), of(&other));
    let joint = Learner::start(&network, &config, phases(&config, true)[0], &device.clone().autodiff(), Some(&weights)).unwrap();
    let started = everything(&joint);
    assert_eq!(started[..n_backbone], other[..n_backbone]);
    assert_eq!(started[n_backbone..], fresh[n_backbone..]);
    // A first phase without epochs takes the backbone as it is.
    let frozen = JobConfig { regime: Regime::Frozen { backbone_epochs: 0 }, ..plain_descent() };
    let phases = phases(&frozen, true);
    let first = Learner::start(&network, &frozen, phases[0], &device.autodiff(), Some(&weights)).unwrap();
    assert_eq!(everything(&first), other[..n_backbone]);
    assert_eq!(everything(&first.go_on(&network, phases[1])), started);
}
