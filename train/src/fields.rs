//! Refusing what cannot be trained. Sweep files are checked more closely before they become jobs; this is for configurations that come from
//! elsewhere.

use offramp_domain::job::{Clip, Distill, ExitWeights, JobConfig, Optimizer};
use offramp_domain::network::Network;

use crate::run::TrainError;

/// Refuses what the loop could not run with.
///
/// # Errors
/// With the first field that is of no use.
pub fn check(config: &JobConfig, network: &Network) -> Result<(), TrainError> {
    let recipe = &config.recipe;
    above_zero("recipe.batch_size", f64::from(recipe.batch_size))?;
    let calibration = config.evaluation.calibration;
    require("evaluation.calibration", calibration, calibration > 0.0 && calibration <= 0.5)?;
    if let Some(side) = recipe.cutout {
        above_zero("recipe.cutout", f64::from(side))?;
    }
    if let Some(alpha) = recipe.mixup {
        above_zero("recipe.mixup", alpha)?;
    }
    share("recipe.label_smoothing", recipe.label_smoothing)?;
    if let Some(Clip::Norm(most) | Clip::Value(most)) = recipe.clip {
        above_zero("recipe.clip", most)?;
    }
    if let Some(decay) = recipe.ema {
        share("recipe.ema", decay)?;
    }
    if let Optimizer::AdamW { beta1, beta2, epsilon, .. } = recipe.optimizer {
        share("recipe.optimizer.beta1", beta1)?;
        share("recipe.optimizer.beta2", beta2)?;
        above_zero("recipe.optimizer.epsilon", epsilon)?;
    }
    if let Distill::Last { temperature, lambda } | Distill::Ensemble { temperature, lambda, .. } = config.distill {
        above_zero("distill.temperature", temperature)?;
        require("distill.lambda", lambda, (0.0..=1.0).contains(&lambda))?;
    }
    match &config.exit_weights {
        ExitWeights::List(weights) if weights.len() != network.n_exits() => {
            Err(TrainError::ExitWeights { n_weights: weights.len(), n_exits: network.n_exits() })
        }
        ExitWeights::List(_) | ExitWeights::Equal | ExitWeights::Linear | ExitWeights::Ramp { .. } => Ok(()),
    }
}

fn above_zero(field: &'static str, value: f64) -> Result<(), TrainError> {
    require(field, value, value > 0.0 && value.is_finite())
}

/// 0 to below 1.
fn share(field: &'static str, value: f64) -> Result<(), TrainError> {
    require(field, value, (0.0..1.0).contains(&value))
}

fn require(field: &'static str, value: f64, is_usable: bool) -> Result<(), TrainError> {
    if is_usable { Ok(()) } else { Err(TrainError::Field { field, value }) }
}
