//! The optimiser of a recipe.

use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, ModuleOptimizer, Optimizer as Optimize, SgdConfig};
use burn::tensor::Tensor;
use offramp_domain::job::{Optimizer, Recipe};

/// Builds the optimiser of a model's parameters.
///
/// # Source
/// Stochastic gradient descent as Sutskever et al. (2013) state it and the field's recipes mean it: the velocity is v <- m v + g (dampening 0,
/// where Burn's default is 0.1), weight decay is added to g before, and Nesterov's variant steps along g + m v. `AdamW`: Loshchilov and Hutter,
/// "Decoupled Weight Decay Regularization", algorithm 2 with both moments corrected for their start at 0; the decay is multiplied by the
/// learning rate and by nothing else.
pub fn build(recipe: &Recipe, model: &impl Module) -> ModuleOptimizer {
    let undecayed = if recipe.decay_norm { None } else { Some(vectors(model)) };
    match recipe.optimizer {
        Optimizer::Sgd { momentum, nesterov, weight_decay, .. } => {
            let momentum =
                (momentum > 0.0).then(|| MomentumConfig::new().with_momentum(momentum).with_dampening(0.0).with_nesterov(nesterov));
            let sgd = SgdConfig::new().with_momentum(momentum);
            let decay = (weight_decay > 0.0).then(|| WeightDecayConfig::new(weight_decay as f32));
            grouped(sgd.clone().with_weight_decay(decay).build(), sgd.build(), undecayed)
        }
        Optimizer::AdamW { beta1, beta2, epsilon, weight_decay, .. } => {
            let adamw = AdamWConfig::new().with_beta_1(beta1 as f32).with_beta_2(beta2 as f32).with_epsilon(epsilon as f32);
            let (decayed, plain) = (adamw.clone().with_weight_decay(weight_decay as f32), adamw.with_weight_decay(0.0));
            grouped(decayed.build(), plain.build(), undecayed)
        }
    }
}

/// One optimiser for all parameters, or a second one for some of them.
fn grouped<O: Optimize>(all: O, some: O, group: Option<ParamGroup>) -> ModuleOptimizer {
    let all = ModuleOptimizer::from(all);
    match group {
        Some(group) => all.with_group(group, some, None),
        None => all,
    }
}

/// The parameters with one axis: scales and shifts of batch norms, and biases. Kernels and matrices have more.
fn vectors(model: &impl Module) -> ParamGroup {
    struct Vectors(Vec<ParamId>);
    impl ModuleVisitor for Vectors {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if D == 1 {
                self.0.push(param.id);
            }
        }
    }
    let mut vectors = Vectors(Vec::new());
    model.visit(&mut vectors);
    ParamGroup::from_ids(vectors.0)
}

/// The learning rate that an optimiser starts with.
pub fn initial_rate(optimizer: &Optimizer) -> f64 {
    match optimizer {
        Optimizer::Sgd { lr, .. } | Optimizer::AdamW { lr, .. } => *lr,
    }
}

#[cfg(test)]
mod tests {
    use burn::optim::GradientsParams;
    use burn::tensor::Device;
    use offramp_domain::job::{Augment, Schedule};

    use super::*;

    #[derive(Module, Debug)]
    struct OneWeight {
        weight: Param<Tensor<1>>,
    }

    fn recipe(optimizer: Optimizer) -> Recipe {
        Recipe::new(1, 1, optimizer, Schedule::Constant, Augment::None)
    }

    /// The weight after each of three steps on the loss `slope * w`, whose gradient is `slope`.
    fn walk(optimizer: Optimizer, slopes: [f64; 3]) -> [f64; 3] {
        let device = Device::flex().autodiff();
        let mut model = OneWeight { weight: Param::from_data([1.0_f32], &device) };
        let mut optimizer_state = build(&recipe(optimizer), &model);
        slopes.map(|slope| {
            let loss = model.weight.val().mul_scalar(slope).sum();
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer_state.step(initial_rate(&optimizer), model.clone(), gradients);
            f64::from(model.weight.val().into_scalar::<f32>())
        })
    }

    fn check(optimizer: Optimizer, slopes: [f64; 3], expected: [f64; 3]) {
        let walked = walk(optimizer, slopes);
        let near = walked.iter().zip(expected).all(|(a, b)| (a - b).abs() < 2e-7);
        assert!(near, "{optimizer:?}: {walked:?}, expected {expected:?}");
    }

    #[test]
    fn plain_descent_by_hand() {
        let plain = Optimizer::Sgd { lr: 0.1, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        check(plain, [1.0, 2.0, -1.0], [0.9, 0.7, 0.8]);
    }

    #[test]
    fn momentum_without_dampening_by_hand() {
        // v: 1, 0.5 + 2 = 2.5, 1.25 - 1 = 0.25.
        let momentum = Optimizer::Sgd { lr: 0.1, momentum: 0.5, nesterov: false, weight_decay: 0.0 };
        check(momentum, [1.0, 2.0, -1.0], [0.9, 0.65, 0.625]);
    }

    #[test]
    fn nesterov_by_hand() {
        // Steps along g + 0.5 v with v as above: 1.5, 3.25, -0.875.
        let nesterov = Optimizer::Sgd { lr: 0.1, momentum: 0.5, nesterov: true, weight_decay: 0.0 };
        check(nesterov, [1.0, 2.0, -1.0], [0.85, 0.525, 0.6125]);
    }

    #[test]
    fn weight_decay_enters_the_gradient_before_momentum_by_hand() {
        // g' = g + 0.1 w. Step 1: g' 1.1, v 1.1, d 1.65, w 0.835. Step 2: g' 2.0835, v 2.6335, d 3.40025, w 0.494975.
        // Step 3: g' -0.9505025, v 0.3662475, d -0.76737875, w 0.571712875.
        let decayed = Optimizer::Sgd { lr: 0.1, momentum: 0.5, nesterov: true, weight_decay: 0.1 };
        check(decayed, [1.0, 2.0, -1.0], [0.835, 0.494_975, 0.571_712_875]);
    }

    #[test]
    fn adamw_by_hand() {
        // Betas 1/2 and 3/4, slopes 1, 2, -1. m: 1/2, 5/4, 1/8; corrected by 1 - 2^-t: 1, 5/3, 1/7.
        // v: 1/4, 19/16, 73/64; corrected by 1 - (3/4)^t: 1, 19/7, 73/37.
        // Steps m / sqrt(v), as epsilon vanishes: 1, 1.0116282978, 0.1017047864. w is multiplied by 1 - 0.1 * 0.5 before each: 0.95 - 0.1 = 0.85,
        // 0.8075 - 0.1011628298 = 0.7063371702, 0.6710203117 - 0.0101704786 = 0.6608498331.
        let adamw = |weight_decay| Optimizer::AdamW { lr: 0.1, beta1: 0.5, beta2: 0.75, epsilon: 1e-12, weight_decay };
        check(adamw(0.5), [1.0, 2.0, -1.0], [0.85, 0.706_337_170, 0.660_849_833]);
        // Without decay the steps alone are left.
        check(adamw(0.0), [1.0, 2.0, -1.0], [0.9, 0.798_837_170, 0.788_666_692]);
    }

    #[test]
    fn epsilon_is_added_to_the_root_by_hand() {
        // First step: m and v are 1 after their corrections; 0.1 / (1 + 1).
        let damped = Optimizer::AdamW { lr: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1.0, weight_decay: 0.0 };
        let first = walk(damped, [1.0, 0.0, 0.0])[0];
        assert!((first - 0.95).abs() < 1e-6, "{first}");
    }

    #[derive(Module, Debug)]
    struct MatrixAndBias {
        matrix: Param<Tensor<2>>,
        bias: Param<Tensor<1>>,
    }

    #[test]
    fn norms_and_biases_are_decayed_or_not() {
        let device = Device::flex().autodiff();
        let after = |optimizer: Optimizer, decay_norm: bool| {
            let model = MatrixAndBias { matrix: Param::from_data([[1.0_f32]], &device), bias: Param::from_data([1.0_f32], &device) };
            let recipe = Recipe { decay_norm, ..recipe(optimizer) };
            // A loss without slope: what moves the parameters is the decay.
            let loss = (model.matrix.val().sum() + model.bias.val().sum()).mul_scalar(0.0);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            let model = build(&recipe, &model).step(0.1, model, gradients);
            [model.matrix.val().into_scalar::<f32>(), model.bias.val().into_scalar::<f32>()]
        };
        let sgd = Optimizer::Sgd { lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.5 };
        // Nesterov's first step is 1.9 times the gradient of 0.5.
        assert_eq!(after(sgd, true), [0.905, 0.905]);
        assert_eq!(after(sgd, false), [0.905, 1.0]);
        let adamw = Optimizer::AdamW { lr: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.5 };
        assert_eq!(after(adamw, true), [0.95, 0.95]);
        assert_eq!(after(adamw, false), [0.95, 1.0]);
    }
}
