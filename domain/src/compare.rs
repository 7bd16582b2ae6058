//! What one factor changes: cells that are equal in everything else, paired seed by seed.
//!
//! - [`Factor`], [`Metric`]: what is compared, and by which number.
//! - [`Cell`]: what was measured. [`compare`] pairs cells and says what differs, how sure that is, and what is missing to say more.
//!
//! Cells of a level and of another are paired where they agree in everything but the factor; what they agree in is a *block*. A pattern
//! without branches has neither exits nor a budget, so where patterns are compared it is paired with every block of the same rest.

mod blocks;
mod factor;
mod metric;
mod notes;
mod paired;

use std::collections::{BTreeMap, HashSet};

use self::blocks::Blocks;
pub use self::factor::{Factor, UnknownFactor};
pub use self::metric::{Cost, Metric, UnknownMetric};
use self::paired::Slot;
use crate::job::JobConfig;
use crate::spelling;
use crate::statistics::wilcoxon::SignedRank;
use crate::statistics::{Bootstrap, Interval, Missing, friedman, holm, mean, nemenyi, squared_distances};

/// A cell: jobs that differ in nothing but the seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The configuration of any of them.
    pub config: JobConfig,
    /// The sweep they are taken from, as it is to be called. It matters where sweeps are compared, and nowhere else.
    pub sweep: String,
    /// The jobs.
    pub runs: Vec<Run>,
}

/// A job of a cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// Its id.
    pub job: String,
    /// What the metric says of it, larger being better; absent without a result.
    pub value: Option<f64>,
}

/// What one pair is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// Two jobs of the same block and seed: what another run of the same comparisons would give.
    #[default]
    Seed,
    /// Two cells of the same block, their common seeds averaged: what other backbones, datasets and recipes would give.
    Block,
}

impl Unit {
    /// The unit's name in commands and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Block => "block",
        }
    }

    /// The unit of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Seed, Self::Block].into_iter().find(|unit| unit.as_str() == name)
    }
}

/// How to compare.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// What the cells' values are. It decides what may be compared.
    pub metric: Metric,
    /// What one pair is.
    pub unit: Unit,
    /// How intervals come about. One less its confidence is the level of Nemenyi's test.
    pub bootstrap: Bootstrap,
    /// The level that all others are compared with; absent where all are compared with each other.
    pub baseline: Option<String>,
}

/// What a comparison comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What was compared.
    pub factor: Factor,
    /// By which number.
    pub metric: Metric,
    /// What one pair is.
    pub unit: Unit,
    /// The confidence of intervals.
    pub confidence: f64,
    /// The factor's levels, in the order in which the cells have them.
    pub levels: Vec<Level>,
    /// Pairs of levels, in the levels' order; where there is a baseline those that it is in.
    pub pairs: Vec<Pair>,
    /// All levels at once, over the blocks that have them all.
    pub ranking: Result<Ranking, Missing>,
    /// What is in no pair, and why.
    pub left_out: LeftOut,
}

/// One value of the factor.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// As tables write it.
    pub name: String,
    /// Cells with a result.
    pub n_cells: usize,
    /// Jobs with a result.
    pub n_results: usize,
    /// Jobs without.
    pub n_without_result: usize,
    /// Mean of the cells' means. Levels need not have the same cells, so that only differences of pairs say which is better.
    pub mean: Option<f64>,
    /// Sample deviation over seeds, pooled over cells; absent where no cell has two.
    pub deviation: Option<f64>,
    /// Mean rank over the blocks that every level is in, 1 being the best; absent where there is no [`Comparison::ranking`].
    pub mean_rank: Option<f64>,
}

/// Two levels, paired.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// What is compared: the later of the two levels, or the one that is not the baseline.
    pub level: String,
    /// What it is compared with.
    pub other: String,
    /// Blocks with a pair.
    pub n_blocks: usize,
    /// Pairs.
    pub n_pairs: usize,
    /// Pairs of jobs that would be there if every job had a result.
    pub n_incomplete: usize,
    /// Mean of the differences, `level` less `other`; absent without a pair.
    pub mean_difference: Option<f64>,
    /// A bootstrap interval of the mean difference.
    pub interval: Result<Interval, Missing>,
    /// Pairs where `level` is the better.
    pub wins: usize,
    /// Pairs where both are equal, to within [`RESOLUTION`].
    pub ties: usize,
    /// Pairs where `other` is the better.
    pub losses: usize,
    /// The signed-rank test of the differences.
    pub wilcoxon: Result<SignedRank, Missing>,
    /// Its p-value adjusted for the number of pairs of levels that have one.
    pub p_holm: Option<f64>,
    /// Matched-pairs rank-biserial correlation, -1 (`other` always better) to 1.
    pub rank_biserial: Option<f64>,
    /// Cohen's d of the differences.
    pub cohens_dz: Result<f64, Missing>,
    /// P-value of Nemenyi's test, which allows for all pairs of levels; absent where there is no [`Comparison::ranking`].
    pub p_nemenyi: Option<f64>,
}

impl Pair {
    /// What is not there, and why: `interval: needs 2 or more pairs, there is 1`; empty where everything is.
    pub fn missing(&self) -> String {
        let Self { interval, wilcoxon, cohens_dz, .. } = self;
        let parts = [("interval", interval.as_ref().err()), ("test", wilcoxon.as_ref().err()), ("effect", cohens_dz.as_ref().err())];
        // One reason is given once, for all that lack because of it.
        let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
        for (part, missing) in parts.into_iter().filter_map(|(part, missing)| Some((part, missing?.to_string()))) {
            match reasons.iter_mut().find(|(reason, _)| *reason == missing) {
                Some((_, lacking)) => lacking.push(part),
                None => reasons.push((missing, vec![part])),
            }
        }
        let texts: Vec<String> = reasons.into_iter().map(|(reason, lacking)| format!("{}: {reason}", lacking.join(", "))).collect();
        texts.join("; ")
    }
}

/// All levels over the same blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// Friedman's test, with mean ranks in the order of [`Comparison::levels`].
    pub friedman: friedman::Friedman,
    /// Mean ranks that are this far apart differ, by Nemenyi's test at [`Self::alpha`].
    pub critical_difference: f64,
    /// One less the confidence asked for.
    pub alpha: f64,
}

/// What is in no pair.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeftOut {
    /// Jobs without a result.
    pub n_without_result: usize,
    /// Cells that the factor means nothing to, such as the budget to a pattern without branches.
    pub n_not_applicable: usize,
    /// Cells with a result for which no other level has a counterpart with a result.
    pub n_unpaired: usize,
    /// Results beyond the first of the same level, block and seed. They are averaged.
    pub n_repeated: usize,
    /// Pairs of a job with itself, where sweeps that share it are compared.
    pub n_same_job: usize,
    /// What sweeps that are compared differ in as a whole, as the configuration names it: part of the factor.
    pub differs_as_well: Vec<String>,
}

/// Values are compared in steps of this: below what any test set resolves, and above the rounding of double precision.
pub const RESOLUTION: f64 = 1.0 / STEPS_PER_ONE;
/// A whole number, so that what is rounded to the same step is the same number.
const STEPS_PER_ONE: f64 = 1e12;
/// Most levels that are compared at once.
pub const MAX_LEVELS: usize = 64;
/// Most values drawn for intervals in all, seconds of work.
pub const MAX_DRAWS: usize = 1_000_000_000;

/// Why there is no comparison.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CompareError {
    /// The metric means something else at each level.
    #[error("areas under accuracy-vs-MACs can be compared within a backbone and a dataset alone, not by {0}")]
    AreaAcross(&'static str),
    /// A confidence that is none.
    #[error("the confidence is {0}, and should be from 0.5 to 0.9999")]
    Confidence(f64),
    /// Too few resamples for a percentile, or too many.
    #[error("{0} resamples, and there should be from 100 to 1000000")]
    Resamples(usize),
    /// No cell has the baseline as its level.
    #[error("no cell has the {factor} {}", spelling::quote(baseline))]
    NoBaseline {
        /// What was compared.
        factor: &'static str,
        /// What was asked for.
        baseline: String,
        /// The level that was perhaps meant.
        suggestion: Option<String>,
    },
    /// More levels than anyone can read pairs of.
    #[error("{n} levels of {factor}, and at most {MAX_LEVELS} are compared at once")]
    TooManyLevels {
        /// What was compared.
        factor: &'static str,
        /// How many levels there are.
        n: usize,
    },
    /// More work than is done for one question.
    #[error("{n_values} values to resample {n_resamples} times are more than is done at once")]
    TooManyDraws {
        /// Values in all samples: of a comparison its pairs.
        n_values: usize,
        /// Resamples asked for.
        n_resamples: usize,
    },
}

impl CompareError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::AreaAcross(_) => "use another metric, such as `final_accuracy`".to_owned(),
            Self::Confidence(_) => "0.95 is usual".to_owned(),
            Self::Resamples(_) => "10000 are usual".to_owned(),
            Self::NoBaseline { suggestion: Some(name), .. } => format!("did you mean {}?", spelling::quote(name)),
            Self::NoBaseline { suggestion: None, .. } => "without a baseline all levels are listed".to_owned(),
            Self::TooManyLevels { .. } => "choose some of them with a filter".to_owned(),
            Self::TooManyDraws { .. } => "name a baseline, choose with a filter, or ask for fewer resamples".to_owned(),
        }
    }
}

impl Options {
    /// Checks that so many values are not too many to resample.
    ///
    /// # Errors
    /// When they are.
    pub fn check_draws(&self, n_values: usize) -> Result<(), CompareError> {
        let n_resamples = self.bootstrap.n_resamples;
        if n_values.saturating_mul(n_resamples) > MAX_DRAWS { Err(CompareError::TooManyDraws { n_values, n_resamples }) } else { Ok(()) }
    }

    /// Checks that the options make sense for a factor.
    ///
    /// # Errors
    /// When they don't.
    pub fn check(&self, factor: Factor) -> Result<(), CompareError> {
        let Bootstrap { confidence, n_resamples, .. } = self.bootstrap;
        if !(0.5..=0.9999).contains(&confidence) {
            return Err(CompareError::Confidence(confidence));
        }
        if !(100..=1_000_000).contains(&n_resamples) {
            return Err(CompareError::Resamples(n_resamples));
        }
        if self.metric == Metric::Area && factor.is_across_areas() {
            return Err(CompareError::AreaAcross(factor.as_str()));
        }
        Ok(())
    }
}

/// Compares cells by a factor.
///
/// Values are compared in steps of [`RESOLUTION`], so that accuracies which are the same but for rounding tie. Values that are not finite count
/// as absent.
///
/// # Errors
/// When the options make no sense, or it is too much at once.
pub fn compare(cells: &[Cell], factor: Factor, options: &Options) -> Result<Comparison, CompareError> {
    options.check(factor)?;
    let blocks = Blocks::find(cells, factor);
    let n_levels = blocks.levels.len();
    if n_levels > MAX_LEVELS {
        return Err(CompareError::TooManyLevels { factor: factor.as_str(), n: n_levels });
    }
    let indices: Vec<(usize, usize)> = match &options.baseline {
        Some(name) => {
            let baseline = blocks.levels.iter().position(|level| level == name).ok_or_else(|| CompareError::NoBaseline {
                factor: factor.as_str(),
                baseline: name.clone(),
                suggestion: spelling::suggest(name, blocks.levels.iter().map(String::as_str)).map(str::to_owned),
            })?;
            (0..n_levels).filter(|level| *level != baseline).map(|level| (level, baseline)).collect()
        }
        None => (0..n_levels).flat_map(|other| (other + 1..n_levels).map(move |level| (level, other))).collect(),
    };
    let ranking = rank(&blocks, options);
    let paired: Vec<paired::Paired> = indices.iter().map(|&(level, other)| paired::pair(&blocks, level, other, options.unit)).collect();
    let n_pairs: usize = paired.iter().map(|paired| paired.differences.len()).sum();
    options.check_draws(n_pairs)?;
    let mean_rank = |level: usize| ranking.as_ref().ok().map(|ranking: &Ranking| ranking.friedman.mean_ranks[level]);
    let p_nemenyi = |level: usize, other: usize| {
        let ranking = ranking.as_ref().ok()?;
        let ranks = &ranking.friedman.mean_ranks;
        Some(nemenyi::p_value(ranks[level] - ranks[other], ranks.len(), ranking.friedman.n_blocks))
    };
    let mut pairs: Vec<Pair> = Vec::with_capacity(paired.len());
    let mut in_a_pair = HashSet::new();
    let mut n_same_job = 0;
    for (&(level, other), paired) in indices.iter().zip(paired) {
        in_a_pair.extend(paired.members.iter().copied());
        n_same_job += paired.n_same_job;
        let names = (blocks.levels[level].clone(), blocks.levels[other].clone());
        pairs.push(paired.into_pair(names, &options.bootstrap, p_nemenyi(level, other)));
    }
    adjust(&mut pairs);
    let levels: Vec<Level> = (0..n_levels).map(|level| summarize(&blocks, level, mean_rank(level))).collect();
    let has_result = |member: &&blocks::Member| member.seeds.values().any(|slot| slot.value().is_some());
    let n_with_result = blocks.members.iter().filter(has_result).count();
    let left_out = LeftOut {
        n_without_result: levels.iter().map(|level| level.n_without_result).sum(),
        n_not_applicable: blocks.n_not_applicable,
        n_unpaired: n_with_result - in_a_pair.len(),
        n_repeated: blocks.n_repeated,
        n_same_job,
        differs_as_well: blocks.differs_as_well,
    };
    let confidence = options.bootstrap.confidence;
    Ok(Comparison { factor, metric: options.metric, unit: options.unit, confidence, levels, pairs, ranking, left_out })
}

/// Ranks all levels in the blocks that have them all, by the means over the seeds that they have in common there.
fn rank(blocks: &Blocks, options: &Options) -> Result<Ranking, Missing> {
    let n_levels = blocks.levels.len();
    crate::statistics::at_least(3, n_levels, "levels")?;
    let complete: Vec<Vec<f64>> = blocks.list.iter().filter_map(|block| complete(blocks, block, n_levels)).collect();
    crate::statistics::at_least(2, complete.len(), "blocks that every level is in")?;
    let friedman = friedman::friedman(&complete)?;
    let alpha = 1.0 - options.bootstrap.confidence;
    let critical_difference = nemenyi::critical_difference(n_levels, friedman.n_blocks, alpha);
    Ok(Ranking { friedman, critical_difference, alpha })
}

fn complete(blocks: &Blocks, block: &BTreeMap<usize, usize>, n_levels: usize) -> Option<Vec<f64>> {
    if block.len() < n_levels {
        return None;
    }
    let seeds: Vec<&BTreeMap<u64, Slot>> = block.values().map(|&member| &blocks.members[member].seeds).collect();
    let has_all = |seed: &&u64| seeds.iter().all(|slots| slots.get(seed).is_some_and(|slot| slot.value().is_some()));
    let common: Vec<u64> = seeds.first()?.keys().filter(has_all).copied().collect();
    let values = |slots: &BTreeMap<u64, Slot>| common.iter().filter_map(|seed| slots[seed].value()).collect::<Vec<f64>>();
    (!common.is_empty()).then(|| seeds.iter().map(|slots| paired::rounded(mean(&values(slots)))).collect())
}

/// Adjusts the p-values of the pairs that have one.
fn adjust(pairs: &mut [Pair]) {
    let p_values: Vec<f64> = pairs.iter().filter_map(|pair| pair.wilcoxon.as_ref().ok().map(|test| test.p)).collect();
    let mut adjusted = holm(&p_values).into_iter();
    for pair in pairs.iter_mut().filter(|pair| pair.wilcoxon.is_ok()) {
        pair.p_holm = adjusted.next();
    }
}

fn summarize(blocks: &Blocks, level: usize, mean_rank: Option<f64>) -> Level {
    let members = blocks.members.iter().filter(|member| member.level == level);
    let (mut means, mut squares, mut freedom) = (Vec::new(), 0.0, 0);
    let (mut n_results, mut n_without_result) = (0, 0);
    for member in members {
        let values: Vec<f64> = member.seeds.values().filter_map(Slot::value).collect();
        n_results += member.seeds.values().map(|slot| slot.values.len()).sum::<usize>();
        n_without_result += member.seeds.values().map(|slot| slot.n_without_result).sum::<usize>();
        if !values.is_empty() {
            means.push(mean(&values));
            squares += squared_distances(&values);
            freedom += values.len() - 1;
        }
    }
    Level {
        name: blocks.levels[level].clone(),
        n_cells: means.len(),
        n_results,
        n_without_result,
        mean: (!means.is_empty()).then(|| mean(&means)),
        deviation: (freedom > 0).then(|| (squares / freedom as f64).sqrt()),
        mean_rank,
    }
}

#[cfg(test)]
mod tests;
