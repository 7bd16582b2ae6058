//! Burn modules from the domain's description of a network.
//!
//! - [`MultiExit`]: the modules, and the ways through them: all exits of a batch, the trunk alone, the branches alone.
//! - [`Walk`]: from exit to exit, for networks that stop early.
//! - [`Features`]: what the trunk has made of a batch up to a unit.
//! - [`Weights`]: weights in and out through SafeTensors, under PyTorch's names.
//!
//! Tensor suffixes: b batch, c channels, h height, w width, k classes, f features.
//!
//! # Batch normalisation
//! In training, a channel is normalised by the mean and the biased variance of the batch (divided by the number of values n, not n - 1) with
//! 1e-5 added to the variance. The running statistics that evaluation uses move by a tenth of the difference at every step, and here Burn
//! takes the *biased* variance too, where PyTorch takes the unbiased one: its running variance is n / (n - 1) times this one's. Training
//! is not touched by that, evaluation by less than 1e-3 of a variance once a channel has more than 1,000 values a batch.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use offramp_domain::network::Network;

use crate::chance::{self, Purpose};

mod builder;
mod features;
mod modules;
mod names;
mod tensors;
mod walk;
mod weights;

use builder::Builder;
pub use features::Features;
use modules::{LayerModule, UnitModule, classify};
pub use tensors::NamedTensor;
pub use walk::Walk;
pub use weights::{ClassifierOrigin, Weights, WeightsError, write};

/// A backbone with its branches.
#[derive(Module, Debug)]
pub struct MultiExit {
    units: Vec<UnitModule>,
    head: Vec<LayerModule>,
    branches: Vec<BranchModule>,
}

/// The classifier hung on a unit's output.
#[derive(Module, Debug)]
struct BranchModule {
    unit: usize,
    layers: Vec<LayerModule>,
}

impl MultiExit {
    /// Builds a network's modules with fresh weights.
    ///
    /// Convolutions start as He et al. (2015) have it for the backward signal: normal with variance 2 / (outputs of a group x kernel area), a bias
    /// at 0. Linear layers start uniform within 1 / sqrt(inputs), bias and all; batch norms at scale 1 and shift 0. Weights are drawn from the seed's own stream in
    /// the order units, head, branches: networks with the same backbone and seed start from the same backbone, whatever their branches.
    pub fn new(network: &Network, seed: u64, device: &Device) -> Self {
        Self::build(network, Builder { rng: Some(chance::stream(seed, Purpose::Weights, 0)), device })
    }

    /// Builds a network's modules with convolutions and linear layers that are all zero, for weights that are set afterwards.
    pub fn blank(network: &Network, device: &Device) -> Self {
        Self::build(network, Builder { rng: None, device })
    }

    fn build(network: &Network, mut builder: Builder) -> Self {
        let units = network.backbone.units.iter().map(|unit| builder.unit(unit)).collect();
        let head = builder.layers(network.head());
        let branches =
            network.branches.iter().map(|branch| BranchModule { unit: branch.unit, layers: builder.layers(&branch.layers) }).collect();
        Self { units, head, branches }
    }

    /// Number of exits, the final one included.
    pub fn n_exits(&self) -> usize {
        self.branches.len() + 1
    }

    /// What every exit says of a batch, side exits first to last, then the final exit.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]` -> one `[batch, classes]` an exit.
    pub fn forward(&self, x_bchw: Tensor<4>) -> Vec<Tensor<2>> {
        let mut walk = self.walk(x_bchw);
        std::iter::from_fn(|| walk.next_exit()).collect()
    }

    /// The same values as [`forward`](Self::forward) with the gradients in equilibrium: a map that exit i of n reads (from 0) gets back
    /// (own + (n - i - 1) onward) / (n - i), own through the exit and onward through the next unit. So every unit learns from the
    /// *mean* of the exits behind it, where it would otherwise learn from their sum. Branches and final classifier learn as ever.
    ///
    /// In a multi-scale trunk only the map that exits read is scaled, as in the authors' code.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]` -> one `[batch, classes]` an exit.
    ///
    /// # Source
    /// Li, Zhang, Qi, Yang, Huang: Improved Techniques for Training Adaptive Deep Networks, section 3.1, arXiv 1908.06294.
    pub fn forward_in_equilibrium(&self, x_bchw: Tensor<4>) -> Vec<Tensor<2>> {
        let n_exits = self.n_exits();
        let mut logits_bk = Vec::with_capacity(n_exits);
        let mut features = Features::of_input(x_bchw);
        let mut unit = 0;
        for exit in 0..n_exits {
            let end = self.units_before(exit);
            let n_left = (n_exits - exit) as f64;
            features = self.advance(features, unit, end).scale_exit_gradient(n_left.recip());
            unit = end;
            logits_bk.push(self.classify(exit, features.at_exit().clone()));
            features = features.scale_exit_gradient(n_left - 1.0);
        }
        logits_bk
    }

    /// Starts a batch on its way from exit to exit.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]`.
    pub fn walk(&self, x_bchw: Tensor<4>) -> Walk<'_> {
        Walk::new(self, Features::of_input(x_bchw))
    }

    /// Runs the trunk alone: what each side exit would read, first to last, and what the final exit says.
    ///
    /// On `model.valid()` nothing of it is recorded for gradients, and batch norms use their running statistics: this is how a frozen backbone
    /// feeds its branches ([`classify_from`](Self::classify_from)).
    ///
    /// # Shapes
    /// `[batch, channels, height, width]` -> one map a side exit, and `[batch, classes]`.
    pub fn run_trunk(&self, x_bchw: Tensor<4>) -> TrunkOutput {
        let mut features = Features::of_input(x_bchw);
        let mut unit = 0;
        let mut at_exits = Vec::with_capacity(self.branches.len());
        for exit in 0..self.branches.len() {
            features = self.advance(features, unit, self.units_before(exit));
            unit = self.units_before(exit);
            at_exits.push(features.at_exit().clone());
        }
        features = self.advance(features, unit, self.units.len());
        TrunkOutput { at_exits, logits_bk: classify(&self.head, features.at_exit().clone()) }
    }

    /// What the side exits say of the maps that [`run_trunk`](Self::run_trunk) gave for them.
    ///
    /// Maps of a `model.valid()` are put on this model's device first: `Tensor::from_inner` where it learns.
    ///
    /// # Shapes
    /// One map a side exit -> one `[batch, classes]` a side exit.
    ///
    /// # Panics
    /// When there are not as many maps as side exits.
    pub fn classify_from(&self, at_exits: Vec<Tensor<4>>) -> Vec<Tensor<2>> {
        assert_eq!(at_exits.len(), self.branches.len(), "one map for each side exit");
        at_exits.into_iter().enumerate().map(|(exit, x_bchw)| self.classify(exit, x_bchw)).collect()
    }

    /// Units that run before an exit, counted from the first.
    fn units_before(&self, exit: usize) -> usize {
        self.branches.get(exit).map_or(self.units.len(), |branch| branch.unit + 1)
    }

    /// Runs units `start..end`.
    fn advance(&self, features: Features, start: usize, end: usize) -> Features {
        self.units[start..end].iter().fold(features, |features, unit| unit.forward(features))
    }

    /// Applies the classifier of an exit to the map it reads.
    fn classify(&self, exit: usize, x_bchw: Tensor<4>) -> Tensor<2> {
        classify(self.branches.get(exit).map_or(&self.head, |branch| &branch.layers), x_bchw)
    }
}

/// What a trunk makes of a batch.
#[derive(Debug, Clone)]
pub struct TrunkOutput {
    /// What each side exit reads, first to last.
    pub at_exits: Vec<Tensor<4>>,
    /// What the final exit says: `[batch, classes]`.
    pub logits_bk: Tensor<2>,
}

#[cfg(test)]
mod tests;
