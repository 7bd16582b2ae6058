//! The optimiser of a recipe.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{ModuleOptimizer, SgdConfig};
use offramp_domain::job::Optimizer;

/// Builds the optimiser.
///
/// # Source
/// Stochastic gradient descent as Sutskever et al. (2013) state it and the field's recipes mean it: the velocity is v <- m v + g (dampening 0,
/// where Burn's default is 0.1), weight decay is added to g before, and Nesterov's variant steps along g + m v.
pub fn build(optimizer: &Optimizer) -> ModuleOptimizer {
    let &Optimizer::Sgd { momentum, nesterov, weight_decay, .. } = optimizer else {
        unreachable!("`run` refuses other optimisers");
    };
    let momentum = (momentum > 0.0).then(|| MomentumConfig::new().with_momentum(momentum).with_dampening(0.0).with_nesterov(nesterov));
    let decay = (weight_decay > 0.0).then(|| WeightDecayConfig::new(weight_decay as f32));
    SgdConfig::new().with_momentum(momentum).with_weight_decay(decay).init()
}

/// The learning rate that an optimiser starts with.
pub fn initial_rate(optimizer: &Optimizer) -> f64 {
    match optimizer {
        Optimizer::Sgd { lr, .. } | Optimizer::AdamW { lr, .. } => *lr,
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, Param};
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Tensor};

    use super::*;

    #[derive(Module, Debug)]
    struct OneWeight {
        weight: Param<Tensor<1>>,
    }

    /// The weight after each of three steps on the loss `slope * w`, whose gradient is `slope`.
    fn walk(optimizer: &Optimizer, slopes: [f64; 3]) -> [f64; 3] {
        let device = Device::flex().autodiff();
        let mut model = OneWeight { weight: Param::from_data([1.0_f32], &device) };
        let mut optimizer_state = build(optimizer);
        slopes.map(|slope| {
            let loss = model.weight.val().mul_scalar(slope).sum();
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer_state.step(initial_rate(optimizer), model.clone(), gradients);
            f64::from(model.weight.val().into_scalar::<f32>())
        })
    }

    fn check(optimizer: &Optimizer, slopes: [f64; 3], expected: [f64; 3]) {
        let walked = walk(optimizer, slopes);
        let near = walked.iter().zip(expected).all(|(a, b)| (a - b).abs() < 2e-7);
        assert!(near, "{optimizer:?}: {walked:?}, expected {expected:?}");
    }

    #[test]
    fn plain_descent_by_hand() {
        let plain = Optimizer::Sgd { lr: 0.1, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        check(&plain, [1.0, 2.0, -1.0], [0.9, 0.7, 0.8]);
    }

    #[test]
    fn momentum_without_dampening_by_hand() {
        // v: 1, 0.5 + 2 = 2.5, 1.25 - 1 = 0.25.
        let momentum = Optimizer::Sgd { lr: 0.1, momentum: 0.5, nesterov: false, weight_decay: 0.0 };
        check(&momentum, [1.0, 2.0, -1.0], [0.9, 0.65, 0.625]);
    }

    #[test]
    fn nesterov_by_hand() {
        // Steps along g + 0.5 v with v as above: 1.5, 3.25, -0.875.
        let nesterov = Optimizer::Sgd { lr: 0.1, momentum: 0.5, nesterov: true, weight_decay: 0.0 };
        check(&nesterov, [1.0, 2.0, -1.0], [0.85, 0.525, 0.6125]);
    }

    #[test]
    fn weight_decay_enters_the_gradient_before_momentum_by_hand() {
        // g' = g + 0.1 w. Step 1: g' 1.1, v 1.1, d 1.65, w 0.835. Step 2: g' 2.0835, v 2.6335, d 3.40025, w 0.494975.
        // Step 3: g' -0.9505025, v 0.3662475, d -0.76737875, w 0.571712875.
        let decayed = Optimizer::Sgd { lr: 0.1, momentum: 0.5, nesterov: true, weight_decay: 0.1 };
        check(&decayed, [1.0, 2.0, -1.0], [0.835, 0.494_975, 0.571_712_875]);
    }
}
