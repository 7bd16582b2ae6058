//! From the grid to its jobs, one at a time.

use std::ops::Range;
use std::sync::Arc;

use super::SweepJob;
use super::axes::{Axes, Cell, SEED};
use super::cells::Cells;
use super::recipe::{self, Base, Override};
use crate::job::{BranchConfig, BranchRule, Budget, Evaluation, JobConfig, Pattern};
use crate::network::Network;

/// What all jobs of a sweep share.
#[derive(Debug, Clone)]
pub(super) struct Common {
    pub(super) rule: BranchRule,
    /// Place of the rule, for what cannot be built by it.
    pub(super) rule_place: Range<usize>,
    pub(super) evaluation: Evaluation,
    /// The recipe that theirs begin with.
    pub(super) base: Option<Base>,
    /// What is otherwise for some backbones and datasets.
    pub(super) overrides: Vec<Override>,
    /// See [`JobConfig::private_to`].
    pub(super) private_to: Option<String>,
}

/// A checked grid. Its jobs are made when they are asked for: what a sweep holds of each is a number.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    pub(super) axes: Axes,
    pub(super) common: Common,
    pub(super) cells: Cells,
    /// By [`super::cells::Numbering::network`].
    pub(super) networks: Vec<Option<Arc<Network>>>,
}

impl Grid {
    pub(super) fn n_jobs(&self) -> usize {
        self.cells.numbers.len()
    }

    pub(super) fn job(&self, index: usize) -> SweepJob {
        let number = self.cells.numbers[index];
        let config = config(&self.axes, &self.common, &self.cells.numbering.cell(number));
        let network = self.cells.numbering.network(self.cells.canonical(number));
        SweepJob { config, network: self.networks[network].clone().expect("a sweep without a problem has all its networks") }
    }

    pub(super) fn seed(&self, index: usize) -> u64 {
        self.axes.seed.value(self.cells.numbering.position(self.cells.numbers[index], SEED))
    }

    /// Where the jobs end that begin at `index` and differ in nothing but the seed. The seed is the last axis, so they stand together.
    pub(super) fn end_of_run(&self, index: usize) -> usize {
        let cell = |number| self.cells.numbering.at_first(number, SEED);
        let first = cell(self.cells.numbers[index]);
        index + self.cells.numbers[index..].partition_point(|&number| cell(number) == first)
    }
}

pub(super) fn config(axes: &Axes, common: &Common, cell: &Cell) -> JobConfig {
    let &[backbone, dataset, exits, budget, pattern, regime, distill, exit_weights, gradient_equilibrium, pretrained, ..] = cell;
    let branches = axes.pattern.value(pattern).as_ref().map(|pattern| {
        // A sweep without a budget has only patterns that need none.
        let budget = axes.budget.value(budget).clone().unwrap_or(Budget::Own);
        BranchConfig::canonical(axes.exits.value(exits).clone(), pattern.clone(), budget, common.rule)
    });
    let has_side_exits = branches.as_ref().is_some_and(|branches| branches.pattern != Pattern::FinalOnly);
    let recipe = recipe::of_cell(axes, common.base.as_ref(), &common.overrides, cell);
    let (backbone, dataset) = (axes.backbone.value(backbone).clone(), axes.dataset.value(dataset).clone());
    let plain = JobConfig {
        pretrained: axes.pretrained.value(pretrained).clone(),
        private_to: common.private_to.clone(),
        ..JobConfig::new(backbone, dataset, branches, recipe, common.evaluation.clone(), axes.seed.value(cell[SEED]))
    };
    if !has_side_exits {
        // With one exit there is nothing that these could be about.
        return plain;
    }
    JobConfig {
        regime: *axes.regime.value(regime),
        distill: *axes.distill.value(distill),
        exit_weights: axes.exit_weights.value(exit_weights).clone(),
        gradient_equilibrium: *axes.gradient_equilibrium.value(gradient_equilibrium),
        ..plain
    }
}
