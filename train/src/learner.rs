//! What changes from step to step, and how.

use std::borrow::Cow;

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::{Device, FloatDType, Tensor};
use offramp_domain::job::{JobConfig, Precision};
use offramp_domain::network::Network;

use crate::average::Average;
use crate::batches::Sample;
use crate::checkpoint::{self, LoadError, Parts};
use crate::clip::clip;
use crate::material::Material;
use crate::network::{MultiExit, Weights, WeightsError};
use crate::objective::Objective;
use crate::optimizer;
use crate::precision::in_bf16;
use crate::regime::{Part, Phase};
use crate::teacher::Teacher;

const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const AVERAGE: &str = "average.bpk";
const SCORES: &str = "teacher.bpk";
const SCORES_OPTIMIZER: &str = "teacher-optimizer.bpk";

/// A model in one phase of its training.
pub struct Learner<'a> {
    config: &'a JobConfig,
    device: Device,
    model: MultiExit,
    /// The backbone that branches are trained on, where it does not change: for evaluation, so that nothing of it is recorded for gradients and
    /// its batch norms use their running statistics.
    trunk: Option<MultiExit>,
    optimizer: ModuleOptimizer,
    average: Option<Average>,
    teacher: Teacher,
    objective: Objective,
}

impl<'a> Learner<'a> {
    /// A learner at the start of a phase, with weights drawn from the seed, the backbone's replaced by `pretrained` ones where there are some.
    /// `device` is one with gradients.
    ///
    /// # Errors
    /// When the pretrained weights are of another backbone.
    pub fn start(
        network: &Network,
        config: &'a JobConfig,
        phase: Phase,
        device: &Device,
        pretrained: Option<&Weights>,
    ) -> Result<Self, WeightsError> {
        let network = part_of(network, phase);
        let mut model = MultiExit::new(&network, config.seed, device);
        if let Some(weights) = pretrained {
            model.load_backbone(&network, weights)?;
        }
        Ok(Self::with_model(model, config, phase, device))
    }

    /// The same with all weights drawn from the seed.
    pub fn fresh(network: &Network, config: &'a JobConfig, phase: Phase, device: &Device) -> Self {
        Self::with_model(MultiExit::new(&part_of(network, phase), config.seed, device), config, phase, device)
    }

    /// The same with a model that has learned something.
    fn with_model(model: MultiExit, config: &'a JobConfig, phase: Phase, device: &Device) -> Self {
        let recipe = &config.recipe;
        Self {
            trunk: (phase.part == Part::Branches).then(|| model.valid()),
            optimizer: optimizer::build(recipe, &model),
            average: recipe.ema.map(|decay| Average::start(decay, model.valid())),
            teacher: Teacher::start(config.distill, model.n_exits(), recipe, device),
            objective: Objective::new(config.exit_weights.clone(), config.distill, phase.n_epochs, device),
            config,
            device: device.clone(),
            model,
        }
    }

    /// Goes on to a phase after the one of this learner. It starts from the weights that would have been evaluated, with everything else anew.
    #[must_use]
    pub fn go_on(self, network: &Network, phase: Phase) -> Self {
        let whole = MultiExit::new(network, self.config.seed, &self.device);
        // Both start from the same seed; what this learner has no branches for keeps its first weights.
        let record = self.evaluated().into_record().allow_partial(true);
        let model = whole.try_load_record(record).expect("a phase's model is a part of the whole network");
        Self::with_model(model, self.config, phase, &self.device)
    }

    /// Takes one step down the gradient of a batch, in an epoch (0-based) of the phase; gives the loss before it, still on the device.
    pub fn step(mut self, material: &Material, samples: &[Sample], rate: f64, epoch: u32) -> (Self, Tensor<1>) {
        let recipe = &self.config.recipe;
        let (x_bchw, targets) = material.batch(samples, recipe.label_smoothing, &self.device);
        let logits_bk = self.logits(x_bchw);
        let teacher_bk = self.teacher.logits(&logits_bk);
        let own_loss = self.teacher.own_loss(teacher_bk.as_ref(), &self.objective, &targets);
        let loss = self.objective.loss(logits_bk, &targets, teacher_bk.as_ref(), epoch);

        let descended = match own_loss {
            Some(own_loss) => loss.clone() + own_loss,
            None => loss.clone(),
        };
        let mut gradients = descended.backward();
        let of_model = GradientsParams::from_module(&mut gradients, &self.model);
        let of_model = match recipe.clip {
            Some(how) => clip(how, of_model, &self.model),
            None => of_model,
        };
        self.model = self.optimizer.step(rate, self.model, of_model);
        self.teacher = self.teacher.step(&mut gradients, rate);
        self.average = self.average.map(|average| average.update(&self.model.valid()));
        (self, loss.detach())
    }

    /// What every exit says of a batch, in 32 bits.
    fn logits(&self, x_bchw: Tensor<4>) -> Vec<Tensor<2>> {
        match self.config.recipe.precision {
            Precision::F32 => self.logits_of(&self.model, self.trunk.as_ref(), x_bchw),
            Precision::Bf16 => {
                let trunk = self.trunk.as_ref().map(in_bf16);
                let logits_bk = self.logits_of(&in_bf16(&self.model), trunk.as_ref(), x_bchw.cast(FloatDType::BF16));
                logits_bk.into_iter().map(|logits_bk| logits_bk.cast(FloatDType::F32)).collect()
            }
        }
    }

    fn logits_of(&self, model: &MultiExit, trunk: Option<&MultiExit>, x_bchw: Tensor<4>) -> Vec<Tensor<2>> {
        match trunk {
            Some(trunk) => {
                let features = trunk.run_trunk(x_bchw.inner());
                let mut logits_bk = model.classify_from(features.at_exits.into_iter().map(Tensor::from_inner).collect());
                logits_bk.push(Tensor::from_inner(features.logits_bk));
                logits_bk
            }
            None if self.config.gradient_equilibrium => model.forward_in_equilibrium(x_bchw),
            None => model.forward(x_bchw),
        }
    }

    /// The model for evaluation: the averaged one, where weights are averaged.
    pub fn evaluated(&self) -> MultiExit {
        match &self.average {
            Some(average) => average.model().clone(),
            None => self.model.valid(),
        }
    }

    /// Takes in what share of the calibration split each exit got right after an epoch.
    pub fn take_accuracies(&mut self, accuracies: &[f64]) {
        self.teacher.take_accuracies(accuracies);
    }

    /// Updates of the weights' moving average.
    pub fn n_averaged(&self) -> u64 {
        self.average.as_ref().map_or(0, Average::n_updates)
    }

    /// What the next attempt needs to go on from here.
    ///
    /// # Errors
    /// When weights cannot be written down.
    pub fn record(&self) -> Result<Parts, RecordError> {
        let mut parts = Parts::new();
        // A model in training hands out running statistics that are one step old; `valid` brings them up to date.
        parts.insert(MODEL.to_owned(), self.model.valid().into_record().into_bytes()?);
        parts.insert(OPTIMIZER.to_owned(), self.optimizer.into_bytes()?);
        if let Some(average) = &self.average {
            parts.insert(AVERAGE.to_owned(), average.model().clone().into_record().into_bytes()?);
        }
        if let Some((scores, optimizer)) = self.teacher.record()? {
            parts.insert(SCORES.to_owned(), scores);
            parts.insert(SCORES_OPTIMIZER.to_owned(), optimizer);
        }
        Ok(parts)
    }

    /// Goes on where [`Learner::record`] and [`Learner::n_averaged`] were asked; `self` is at the start of that phase.
    ///
    /// # Errors
    /// When a part is missing or is of another network.
    pub fn resume(self, mut parts: Parts, n_averaged: u64) -> Result<Self, LoadError> {
        let recipe = &self.config.recipe;
        let record = ModuleRecord::from_bytes(checkpoint::take(&mut parts, MODEL)?)?;
        let model = self.model.try_load_record(record)?;
        // Built anew: optimisers know parameters by ids, and those have come with the record.
        let optimizer = optimizer::build(recipe, &model).from_bytes(checkpoint::take(&mut parts, OPTIMIZER)?)?;
        let average = match recipe.ema {
            None => None,
            Some(decay) => {
                let record = ModuleRecord::from_bytes(checkpoint::take(&mut parts, AVERAGE)?)?;
                Some(Average::resume(decay, n_averaged, model.valid(), record)?)
            }
        };
        let teacher = match self.teacher {
            Teacher::Learned(_) => {
                let scores = checkpoint::take(&mut parts, SCORES)?;
                self.teacher.resume(recipe, scores, checkpoint::take(&mut parts, SCORES_OPTIMIZER)?)?
            }
            Teacher::None | Teacher::Last | Teacher::Fixed(_) => self.teacher,
        };
        let trunk = self.trunk.map(|_| model.valid());
        Ok(Self { model, trunk, optimizer, average, teacher, ..self })
    }
}

/// What of a network there is in a phase.
fn part_of(network: &Network, phase: Phase) -> Cow<'_, Network> {
    match phase.part {
        Part::Backbone => Cow::Owned(Network { branches: Vec::new(), ..network.clone() }),
        Part::Branches | Part::All => Cow::Borrowed(network),
    }
}

#[cfg(test)]
mod tests;
