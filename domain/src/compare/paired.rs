//! Two levels, paired in the blocks that have both.

use super::blocks::Blocks;
use super::{Pair, STEPS_PER_ONE, Unit};
use crate::statistics::wilcoxon::signed_rank;
use crate::statistics::{Bootstrap, Missing, at_least, effect, mean};

/// A value in whole steps of [`RESOLUTION`](super::RESOLUTION).
pub(super) fn rounded(value: f64) -> f64 {
    (value * STEPS_PER_ONE).round() / STEPS_PER_ONE
}

/// What is known of one level, block and seed.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Slot {
    /// The jobs, several where equal work was done twice.
    pub(super) jobs: Vec<String>,
    /// What they came to.
    pub(super) values: Vec<f64>,
    /// How many of them have no result.
    pub(super) n_without_result: usize,
}

impl Slot {
    /// The mean of what the jobs came to; none without a result.
    pub(super) fn value(&self) -> Option<f64> {
        (!self.values.is_empty()).then(|| mean(&self.values))
    }

    fn shares_a_job(&self, other: &Self) -> bool {
        self.jobs.iter().any(|job| other.jobs.contains(job))
    }
}

/// Differences of two levels.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Paired {
    /// One a pair, the level less the other.
    pub(super) differences: Vec<f64>,
    /// The members that are in a pair.
    pub(super) members: Vec<usize>,
    /// Pairs of a job with itself, which say nothing.
    pub(super) n_same_job: usize,
    n_blocks: usize,
    n_incomplete: usize,
}

/// Pairs two levels.
pub(super) fn pair(blocks: &Blocks, level: usize, other: usize, unit: Unit) -> Paired {
    let mut paired = Paired::default();
    for block in &blocks.list {
        let (Some(&one), Some(&two)) = (block.get(&level), block.get(&other)) else { continue };
        let mut differences = Vec::new();
        for (seed, slot) in &blocks.members[one].seeds {
            let Some(other) = blocks.members[two].seeds.get(seed) else { continue };
            if slot.shares_a_job(other) {
                paired.n_same_job += 1;
                continue;
            }
            match (slot.value(), other.value()) {
                (Some(value), Some(other)) => differences.push(rounded(value - other)),
                _ => paired.n_incomplete += 1,
            }
        }
        if differences.is_empty() {
            continue;
        }
        paired.n_blocks += 1;
        paired.members.extend([one, two]);
        match unit {
            Unit::Seed => paired.differences.extend(differences),
            Unit::Block => paired.differences.push(rounded(mean(&differences))),
        }
    }
    paired
}

impl Paired {
    /// What the differences come to.
    pub(super) fn into_pair(self, (level, other): (String, String), bootstrap: &Bootstrap, p_nemenyi: Option<f64>) -> Pair {
        let Self { differences, n_blocks, n_incomplete, .. } = self;
        let count = |is: fn(f64) -> bool| differences.iter().filter(|difference| is(**difference)).count();
        // One difference has a p-value of 1 and an effect of 1 whatever it is: words say more.
        let wilcoxon = at_least(2, differences.len(), "pairs").and_then(|()| signed_rank(&differences));
        let interval = bootstrap.interval(&differences).map_err(of_differences);
        let cohens_dz = effect::cohens_dz(&differences).map_err(of_differences);
        Pair {
            level,
            other,
            n_blocks,
            n_pairs: differences.len(),
            n_incomplete,
            mean_difference: (!differences.is_empty()).then(|| mean(&differences)),
            interval,
            wins: count(|difference| difference > 0.0),
            ties: count(|difference| difference == 0.0),
            losses: count(|difference| difference < 0.0),
            rank_biserial: wilcoxon.as_ref().ok().map(effect::rank_biserial),
            wilcoxon,
            p_holm: None,
            cohens_dz,
            p_nemenyi,
        }
    }
}

/// Says of differences what was said of values.
const fn of_differences(missing: Missing) -> Missing {
    match missing {
        Missing::TooFew { what: _, need, have } => Missing::TooFew { what: "pairs", need, have },
        Missing::NoSpread(_) => Missing::NoSpread("differences"),
    }
}
