//! How fast a backbone trains and classifies on the CPU, with the kernels and with Burn's own layers:
//! `throughput [BACKBONE [BATCH_SIZE,.. [ROUNDS]]]`.
//!
//! The two take turns, a round each, so that what else the machine does meets both. Ratios are medians of the rounds' ratios.

use std::time::Instant;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use offramp_domain::backbone;
use offramp_domain::job::{Augment, Optimizer, Recipe, Schedule};
use offramp_domain::network::{Network, assemble_parts};
use offramp_domain::shape::Shape;
use offramp_train::network::MultiExit;
use offramp_train::{kernels, optimizer};

const N_CLASSES: usize = 10;
const INPUT: Shape = Shape::new(3, 32, 32);

/// Images a round, at least.
const IMAGES_PER_ROUND: usize = 256;

/// A network in training on one batch.
struct Training {
    model: MultiExit,
    optimizer: ModuleOptimizer,
    x_bchw: Tensor<4>,
    targets_b: Tensor<1, Int>,
}

impl Training {
    fn new(network: &Network, batch_size: usize) -> Self {
        let device = Device::flex().autodiff();
        let sgd = Optimizer::Sgd { lr: 0.1, momentum: 0.9, nesterov: false, weight_decay: 5e-4 };
        let recipe = Recipe::new(1, batch_size as u32, sgd, Schedule::Constant, Augment::None);
        let targets = (0..batch_size).map(|image| (image % N_CLASSES) as i32).collect();
        let model = MultiExit::new(network, 0, &device);
        Self {
            optimizer: optimizer::build(&recipe, &model),
            model,
            x_bchw: images(batch_size, &device),
            targets_b: Tensor::from_data(TensorData::new::<i32, _>(targets, [batch_size]), &device),
        }
    }

    fn step(mut self) -> Self {
        let cross_entropy = CrossEntropyLossConfig::new().init(&self.x_bchw.device());
        let logits = self.model.forward(self.x_bchw.clone()).into_iter();
        let loss = logits.map(|logits_bk| cross_entropy.forward(logits_bk, self.targets_b.clone())).reduce(|sum, loss| sum + loss);
        let gradients = loss.expect("a network has a final exit").backward();
        let gradients = GradientsParams::from_grads(gradients, &self.model);
        self.model = self.optimizer.step(0.1, self.model, gradients);
        self
    }
}

/// Numbers that are different enough.
fn images(batch_size: usize, device: &Device) -> Tensor<4> {
    let n = batch_size * INPUT.channels * INPUT.height * INPUT.width;
    let values: Vec<f32> = (0..n).map(|index| ((index * 7919) % 2039) as f32 / 1019.5 - 1.0).collect();
    Tensor::from_data(TensorData::new(values, [batch_size, INPUT.channels, INPUT.height, INPUT.width]), device)
}

/// Images a second of a round.
#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn time(batch_size: usize, mut step: impl FnMut()) -> f64 {
    let n_steps = IMAGES_PER_ROUND.div_ceil(batch_size);
    let started = Instant::now();
    (0..n_steps).for_each(|_| step());
    (n_steps * batch_size) as f64 / started.elapsed().as_secs_f64()
}

/// Takes rounds in turns and prints what came out.
#[expect(clippy::print_stdout, reason = "the result of a program")]
fn compare(what: &str, batch_size: usize, n_rounds: usize, mut with: impl FnMut(), mut without: impl FnMut()) {
    with();
    without();
    let rounds: Vec<(f64, f64)> = (0..n_rounds).map(|_| (time(batch_size, &mut with), time(batch_size, &mut without))).collect();
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let with = median(rounds.iter().map(|round| round.0).collect());
    let without = median(rounds.iter().map(|round| round.1).collect());
    let ratio = median(rounds.iter().map(|round| round.0 / round.1).collect());
    println!("{what:9} batch {batch_size:4}: {with:7.0} images/s with kernels, {without:7.0} without, ratio {ratio:.2}");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "resnet20".to_owned());
    let batch_sizes = arguments.next().unwrap_or_else(|| "32,64,128".to_owned());
    let n_rounds: usize = arguments.next().as_deref().unwrap_or("5").parse()?;
    let network = assemble_parts(backbone::build(&name, INPUT, N_CLASSES)?, N_CLASSES, None)?;
    for batch_size in batch_sizes.split(',') {
        let batch_size: usize = batch_size.parse()?;
        let mut with = Some(Training::new(&network, batch_size));
        let mut without = Some(Training::new(&network, batch_size));
        let step = |training: &mut Option<Training>| *training = training.take().map(Training::step);
        compare("training", batch_size, n_rounds, || step(&mut with), || kernels::plain(|| step(&mut without)));

        let model = MultiExit::new(&network, 0, &Device::flex().autodiff()).valid();
        let x_bchw = images(batch_size, &Device::flex());
        let infer = || drop(model.forward(x_bchw.clone()));
        compare("inference", batch_size, n_rounds, infer, || kernels::plain(infer));
    }
    Ok(())
}
