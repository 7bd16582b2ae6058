//! Which pattern is better, and how sure that is.

use maud::{Markup, html};
use offramp_domain::compare::{self, Comparison, Factor, Options, Pair, Run};
use offramp_domain::job::JobConfig;
use offramp_domain::statistics::wilcoxon;

use crate::report::Material;
use crate::report::cells::cells;
use crate::report::figures::{Drawing, differences};
use crate::report::parts::{Kind, missing, note, section, table};
use crate::text::{count, percent};

/// The level that results are called unlikely below, where nothing else is agreed.
const CUSTOMARY: f64 = 0.05;

/// The comparison, or why there is none.
#[derive(Debug)]
pub(super) enum Compared {
    Done(Box<Comparison>, Drawing),
    Not(String, Drawing),
}

impl Compared {
    pub(super) fn of(material: &Material) -> Self {
        let not = |why: String| Self::Not(why, Drawing::default());
        if !material.is_whole() {
            return not(format!(
                "The sweep is too large to compare in a page; `offramp compare {} --by pattern` does it.",
                material.sweep.sweep
            ));
        }
        match compare::compare(&observed(material), Factor::Pattern, &Options::default()) {
            Ok(comparison) if comparison.pairs.iter().any(|pair| pair.n_pairs > 0) => {
                let drawing = differences(&comparison);
                Self::Done(Box::new(comparison), drawing)
            }
            Ok(_) => not("No two jobs with results differ in the pattern alone, so there is nothing to compare.".to_owned()),
            Err(error) => not(format!("Patterns are not compared: {error}.")),
        }
    }

    pub(super) fn drawing(&self) -> &Drawing {
        let (Self::Done(_, drawing) | Self::Not(_, drawing)) = self;
        drawing
    }
}

/// The comparison of patterns.
pub(super) fn comparison(compared: &Compared) -> Markup {
    let body = match compared {
        Compared::Done(comparison, drawing) => tables(comparison, drawing),
        Compared::Not(why, _) => missing(why),
    };
    section("comparison", "Patterns compared", &body)
}

fn observed(material: &Material) -> Vec<compare::Cell> {
    let cell = |cell: &crate::report::cells::Cell| {
        let detail = material.details.get(&cell.any().job)?;
        let config = JobConfig::from_json(&detail.config_json).ok()?;
        let run = |job: &&offramp_proto::v1::JobRow| Run { seed: job.seed, job: job.job.clone(), value: job.area };
        Some(compare::Cell { config, sweep: material.sweep.sweep.to_string(), runs: cell.jobs.iter().map(run).collect() })
    };
    cells(&material.jobs).iter().filter_map(cell).collect()
}

fn tables(comparison: &Comparison, drawing: &Drawing) -> Markup {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let signed = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:+.4}"));
    let levels: Vec<Vec<String>> = comparison
        .levels
        .iter()
        .map(|level| {
            vec![
                level.name.clone(),
                level.n_cells.to_string(),
                level.n_results.to_string(),
                number(level.mean),
                number(level.deviation),
                level.mean_rank.map_or_else(|| "-".to_owned(), |rank| format!("{rank:.2}")),
            ]
        })
        .collect();
    let pairs: Vec<Vec<String>> = comparison
        .pairs
        .iter()
        .map(|pair| {
            vec![
                format!("{} less {}", pair.level, pair.other),
                pair.n_pairs.to_string(),
                pair.n_blocks.to_string(),
                signed(pair.mean_difference),
                pair.interval.as_ref().map_or_else(|_| "-".to_owned(), |interval| format!("{:+.4} to {:+.4}", interval.low, interval.high)),
                format!("{} / {} / {}", pair.wins, pair.ties, pair.losses),
                p_value(pair.wilcoxon.as_ref().ok().map(|test| test.p)),
                p_value(pair.p_holm),
                signed(pair.rank_biserial),
                signed(pair.cohens_dz.as_ref().ok().copied()),
                pair.missing(),
            ]
        })
        .collect();
    let level_columns = [
        ("pattern", Kind::Text),
        ("cells", Kind::Number),
        ("results", Kind::Number),
        ("mean area", Kind::Number),
        ("deviation over seeds", Kind::Number),
        ("mean rank", Kind::Number),
    ];
    let pair_columns = [
        ("patterns", Kind::Text),
        ("pairs", Kind::Number),
        ("blocks", Kind::Number),
        ("mean difference", Kind::Number),
        ("interval", Kind::Number),
        ("wins / ties / losses", Kind::Number),
        ("p (Wilcoxon)", Kind::Number),
        ("p (Holm)", Kind::Number),
        ("rank-biserial", Kind::Number),
        ("Cohen's d", Kind::Number),
        ("not given, and why", Kind::Prose),
    ];
    html! {
        p {
            "Jobs that differ in the pattern alone are paired, seed by seed: same backbone, dataset, exits, budget, recipe and seed. "
            "What is compared is the area under accuracy-vs-MACs; a positive difference speaks for the first pattern. Intervals are bootstrap intervals of the mean difference at "
            (percent(comparison.confidence)) "."
        }
        @for caution in cautions(comparison) { p.caution { strong { "Caution. " } (caution) } }
        (drawing.show("Mean differences in area with their intervals: what lies to the right of the line is better than what it is compared with."))
        (table("Patterns by themselves", &level_columns, &levels, ""))
        (table("Patterns against each other", &pair_columns, &pairs, "offramp compare --by pattern --output csv"))
        (ranking(comparison))
        (left_out(comparison))
    }
}

fn p_value(p: Option<f64>) -> String {
    match p {
        None => "-".to_owned(),
        Some(p) if p < 0.0001 => "< 0.0001".to_owned(),
        Some(p) => format!("{p:.4}"),
    }
}

/// What whoever reads the tables has to bear in mind.
fn cautions(comparison: &Comparison) -> Vec<String> {
    let mut cautions = Vec::new();
    let fewest = comparison.pairs.iter().filter(|pair| pair.n_pairs > 0).map(|pair| pair.n_pairs).min().unwrap_or(0);
    let smallest = wilcoxon::smallest_p(fewest);
    if smallest > CUSTOMARY {
        cautions.push(format!(
            "With {} the signed-rank test cannot give a p-value below {smallest:.4}, whatever the difference: it says nothing here, and intervals of so few are rough.",
            count(fewest as u64, "pair")
        ));
    }
    let one_seed = comparison.levels.iter().all(|level| level.n_results <= level.n_cells);
    if one_seed {
        cautions.push("There is one seed of every cell: differences between patterns cannot be told from those between seeds.".to_owned());
    }
    let n_blocks = comparison.pairs.iter().map(|pair: &Pair| pair.n_blocks).max().unwrap_or(0);
    if n_blocks < 5 {
        cautions.push(format!(
            "Pairs come from {}: what they show holds for the backbones and datasets of this sweep, and not beyond them.",
            count(n_blocks as u64, "block")
        ));
    }
    cautions
}

fn ranking(comparison: &Comparison) -> Markup {
    match &comparison.ranking {
        Ok(ranking) => html! {
            p {
                "Over the " (count(ranking.friedman.n_blocks as u64, "block")) " that have every pattern, Friedman's test gives chi-squared "
                (format!("{:.3}", ranking.friedman.chi_squared)) ", p " (p_value(Some(ranking.friedman.p))) "; by Nemenyi's test mean ranks differ that are "
                (format!("{:.3}", ranking.critical_difference)) " apart at level " (format!("{:.2}", ranking.alpha)) "."
            }
        },
        Err(missing) => note(&format!("Ranks over blocks (Friedman, Nemenyi) are not given: {missing}.")),
    }
}

fn left_out(comparison: &Comparison) -> Markup {
    let left_out = &comparison.left_out;
    let parts = [
        (left_out.n_without_result, "job without a result", "jobs without a result"),
        (left_out.n_unpaired, "cell without a counterpart", "cells without a counterpart"),
        (left_out.n_repeated, "repeated result, averaged", "repeated results, averaged"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(n, ..)| *n > 0)
        .map(|(n, one, many)| if n == 1 { format!("1 {one}") } else { format!("{n} {many}") })
        .collect();
    if parts.is_empty() {
        html! {}
    } else {
        note(&format!("Left out: {}.", parts.join("; ")))
    }
}
