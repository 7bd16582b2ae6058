//! Comparisons as messages.

use offramp_domain::compare::{Comparison, Level, Pair, Ranking};
use offramp_domain::statistics::{Missing, Summary};
use offramp_proto::v1;

use super::cells::StoredCell;

pub(super) fn comparison(comparison: &Comparison, n_resamples: usize) -> v1::CompareResponse {
    v1::CompareResponse {
        levels: comparison.levels.iter().map(level).collect(),
        pairs: comparison.pairs.iter().map(pair).collect(),
        friedman: comparison.ranking.as_ref().ok().map(friedman),
        friedman_missing: comparison.ranking.as_ref().err().map(Missing::to_string).unwrap_or_default(),
        by: comparison.factor.as_str().to_owned(),
        metric: comparison.metric.as_str().to_owned(),
        metric_label: comparison.metric.to_string(),
        unit: comparison.unit.as_str().to_owned(),
        confidence: comparison.confidence,
        resamples: small(n_resamples),
        notes: comparison.notes(),
    }
}

fn level(level: &Level) -> v1::CompareLevelRow {
    v1::CompareLevelRow {
        level: level.name.clone(),
        n_cells: small(level.n_cells),
        n_jobs: small(level.n_results),
        n_without_result: small(level.n_without_result),
        mean: level.mean,
        deviation: level.deviation,
        mean_rank: level.mean_rank,
    }
}

fn pair(pair: &Pair) -> v1::ComparePairRow {
    let (interval, test) = (pair.interval.as_ref().ok(), pair.wilcoxon.as_ref().ok());
    v1::ComparePairRow {
        level: pair.level.clone(),
        other: pair.other.clone(),
        n_blocks: small(pair.n_blocks),
        n_pairs: small(pair.n_pairs),
        n_incomplete: small(pair.n_incomplete),
        mean_difference: pair.mean_difference,
        low: interval.map(|interval| interval.low),
        high: interval.map(|interval| interval.high),
        n_wins: small(pair.wins),
        n_ties: small(pair.ties),
        n_losses: small(pair.losses),
        wilcoxon_statistic: test.map(|test| test.plus.min(test.minus)),
        p_value: test.map(|test| test.p),
        p_method: test.map(|test| test.method.as_str().to_owned()),
        p_holm: pair.p_holm,
        p_nemenyi: pair.p_nemenyi,
        rank_biserial: pair.rank_biserial,
        cohens_dz: pair.cohens_dz.as_ref().ok().copied(),
        missing: pair.missing(),
    }
}

fn friedman(ranking: &Ranking) -> v1::FriedmanRow {
    let test = &ranking.friedman;
    v1::FriedmanRow {
        n_blocks: small(test.n_blocks),
        n_levels: small(test.mean_ranks.len()),
        chi_squared: test.chi_squared,
        p_value: test.p,
        iman_davenport: test.iman_davenport.map(|test| test.f),
        iman_davenport_p: test.iman_davenport.map(|test| test.p),
        critical_difference: ranking.critical_difference,
    }
}

pub(super) fn cell(stored: &StoredCell, summary: Result<Summary, Missing>) -> v1::CellRow {
    let config = &stored.cell.config;
    let n_results = summary.as_ref().map_or(0, |summary| summary.n);
    let interval = summary.as_ref().map_err(|missing| *missing).and_then(|summary| summary.interval);
    v1::CellRow {
        backbone: config.backbone.clone(),
        dataset: config.dataset.clone(),
        exits: config.exits_label(),
        budget: config.budget_label(),
        pattern: config.pattern_label(),
        recipe: config.recipe_label(),
        branch_rule: stored.branch_rule.clone(),
        n_seeds: small(n_results),
        n_without_result: small(stored.cell.runs.len() - n_results),
        mean: summary.as_ref().ok().map(|summary| summary.mean),
        deviation: summary.as_ref().ok().and_then(|summary| summary.deviation),
        low: interval.as_ref().ok().map(|interval| interval.low),
        high: interval.as_ref().ok().map(|interval| interval.high),
        missing: interval.as_ref().err().map(Missing::to_string).unwrap_or_default(),
        branch_macs: stored.branch_macs,
        backbone_macs: stored.backbone_macs,
    }
}

/// Counts of jobs fit: no more are compared at once.
fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
