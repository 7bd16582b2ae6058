//! Arguments of the commands that compare cells over their seeds.

use clap::Args;
use offramp_domain::compare::{Cost, Factor, Metric, Unit};
use offramp_proto::v1;

use crate::args::SourceArguments;

/// By which number, and how sure.
#[derive(Debug, Clone, Args)]
pub(crate) struct MetricArguments {
    /// The number: `area`, `final-accuracy` or `best-accuracy` [default: area; final-accuracy across backbones or datasets]
    #[arg(long, value_name = "METRIC", value_parser = parse_metric, conflicts_with = "at")]
    pub(crate) metric: Option<Metric>,
    /// Test accuracy for a cost instead: MACs such as 20M, or a share of the backbone's such as 50%
    #[arg(long, value_name = "COST", value_parser = parse_cost)]
    pub(crate) at: Option<Cost>,
    /// How often an interval is to hold the true mean
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, value_parser = parse_confidence)]
    pub(crate) confidence: f64,
    /// Resamples of each bootstrap interval
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub(crate) resamples: u32,
}

impl MetricArguments {
    /// The metric's name on the wire, a cost in MACs, a cost as a share.
    pub(super) fn wire(&self) -> (String, Option<f64>, Option<f64>) {
        let name = self.metric.map_or_else(String::new, |metric| metric.as_str().to_owned());
        match self.at {
            None => (name, None, None),
            Some(Cost::Macs(macs)) => (name, Some(macs), None),
            Some(Cost::Share(share)) => (name, None, Some(share)),
        }
    }
}

/// Which sweeps' jobs.
#[derive(Debug, Clone, Args)]
pub(crate) struct SweepsArguments {
    /// The sweeps: `last`, ids, or names; several are taken together
    #[arg(value_name = "SWEEP", default_value = "last")]
    pub(crate) sweeps: Vec<String>,
    /// Every sweep of the database
    #[arg(long, conflicts_with = "sweeps")]
    pub(crate) all_sweeps: bool,
    /// Only jobs that this filter lets through, such as `backbone = resnet56 and pattern.slope > 0`
    #[arg(long = "where", value_name = "FILTER", default_value = "", hide_default_value = true)]
    pub(crate) filter: String,
}

impl SweepsArguments {
    pub(super) fn wire(&self) -> Vec<String> {
        if self.all_sweeps { Vec::new() } else { self.sweeps.clone() }
    }
}

/// Arguments of `offramp compare`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp compare
  offramp compare --by pattern --baseline none --at 50%
  offramp compare study --by budget --where 'pattern = constant' --metric final-accuracy
  offramp compare first second --by sweep --output json

Cells that differ in the factor alone are paired, seed by seed. `none` has no exits and no budget,
and is paired with every block of the same backbone, dataset and recipe. For each two levels: the
mean difference with a bootstrap interval (BCa), wins, ties and losses, Wilcoxon's signed-rank test
with Holm's adjustment, the rank-biserial correlation and Cohen's d. For all of them: Friedman's
test over blocks and Nemenyi's critical difference. docs/RESULTS.md has the definitions.
CSV has the pairs alone.")]
pub(crate) struct CompareArguments {
    /// Whose jobs.
    #[command(flatten)]
    pub(crate) sweeps: SweepsArguments,
    /// The factor: an axis of sweep files (pattern, backbone, dataset, exits, budget, regime, distill, ...), recipe, or sweep
    #[arg(long, value_name = "FACTOR", default_value = "pattern", value_parser = parse_factor)]
    pub(crate) by: Factor,
    /// Compare every other level with this one, instead of each with each
    #[arg(long, value_name = "LEVEL")]
    pub(crate) baseline: Option<String>,
    /// What one pair is: `seed`, or `block` with its seeds averaged
    #[arg(long, value_name = "UNIT", default_value = "seed", value_parser = parse_unit)]
    pub(crate) unit: Unit,
    /// By which number.
    #[command(flatten)]
    pub(crate) metric: MetricArguments,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

impl CompareArguments {
    /// The question on the wire.
    pub(crate) fn request(&self) -> v1::CompareRequest {
        let (metric, at_cost, at_share) = self.metric.wire();
        v1::CompareRequest {
            sweeps: self.sweeps.wire(),
            by: self.by.as_str().to_owned(),
            metric,
            at_cost,
            r#where: self.sweeps.filter.clone(),
            confidence: self.metric.confidence,
            resamples: self.metric.resamples,
            at_share,
            unit: self.unit.as_str().to_owned(),
            baseline: self.baseline.clone().unwrap_or_default(),
        }
    }
}

/// Arguments of `offramp patterns`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp patterns
  offramp patterns digits --metric final-accuracy
  offramp patterns --all-sweeps --where 'dataset = cifar10' --at 20M --output csv > cells.csv

One row a cell (everything but the seed): mean and sample deviation over its seeds, and a bootstrap
interval (BCa) of the mean, which one seed has not. With two to five seeds it is too narrow.")]
pub(crate) struct PatternsArguments {
    /// Whose jobs.
    #[command(flatten)]
    pub(crate) sweeps: SweepsArguments,
    /// By which number.
    #[command(flatten)]
    pub(crate) metric: MetricArguments,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

impl PatternsArguments {
    /// The question on the wire.
    pub(crate) fn request(&self) -> v1::ListCellsRequest {
        let (metric, at_cost, at_share) = self.metric.wire();
        v1::ListCellsRequest {
            sweeps: self.sweeps.wire(),
            metric,
            at_cost,
            at_share,
            r#where: self.sweeps.filter.clone(),
            confidence: self.metric.confidence,
            resamples: self.metric.resamples,
        }
    }
}

/// Arguments of `offramp sweep diff`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp sweep diff digits digits-longer
  offramp sweep diff 3 last --metric final-accuracy --output json

What the files say differently, which jobs only one of the two has, and how cells compare that
differ in nothing but what the two sweeps differ in as a whole (a recipe, say). Differences are B
less A. CSV has what the files say alone.")]
pub(crate) struct DiffSweepsArguments {
    /// One sweep: `last`, an id, or a name
    #[arg(value_name = "A")]
    pub(crate) a: String,
    /// The other
    #[arg(value_name = "B")]
    pub(crate) b: String,
    /// By which number.
    #[command(flatten)]
    pub(crate) metric: MetricArguments,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

impl DiffSweepsArguments {
    /// The question on the wire.
    pub(crate) fn request(&self) -> v1::DiffSweepsRequest {
        let (metric, at_cost, at_share) = self.metric.wire();
        let MetricArguments { confidence, resamples, .. } = self.metric;
        v1::DiffSweepsRequest { a: self.a.clone(), b: self.b.clone(), metric, at_cost, at_share, confidence, resamples }
    }
}

pub(super) fn parse_factor(text: &str) -> Result<Factor, String> {
    Factor::parse(text).map_err(|error| format!("{error}\nhint: {}", error.hint()))
}

fn parse_metric(text: &str) -> Result<Metric, String> {
    Metric::parse(text).map_err(|error| format!("{error}\nhint: {}", error.hint()))
}

pub(super) fn parse_unit(text: &str) -> Result<Unit, String> {
    Unit::parse(text).ok_or_else(|| "a pair is a `seed` or a `block`".to_owned())
}

fn parse_confidence(text: &str) -> Result<f64, String> {
    let wanted = || "a share from 0.5 to 0.9999, such as 0.95 or 95%".to_owned();
    let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 0.01));
    let share = number.trim().parse::<f64>().map_err(|_| wanted())? * scale;
    (0.5..=0.9999).contains(&share).then_some(share).ok_or_else(wanted)
}

fn parse_cost(text: &str) -> Result<Cost, String> {
    Cost::parse(text).ok_or_else(|| "MACs such as 20M, or a share of the backbone's MACs such as 50%".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_macs_or_shares() {
        assert_eq!(parse_cost("20M"), Ok(Cost::Macs(2e7)));
        assert_eq!(parse_cost("1.5 G"), Ok(Cost::Macs(1.5e9)));
        assert_eq!(parse_cost("40551"), Ok(Cost::Macs(40_551.0)));
        assert_eq!(parse_cost("50%"), Ok(Cost::Share(0.5)));
        for wrong in ["", "M", "0", "-3M", "20X", "nan", "inf", "%"] {
            assert!(parse_cost(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn confidences_are_shares() {
        assert_eq!(parse_confidence("0.9"), Ok(0.9));
        assert_eq!(parse_confidence("99%"), Ok(0.99));
        for wrong in ["95", "1", "0.2", "sure"] {
            assert!(parse_confidence(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn unknown_names_have_suggestions() {
        assert_eq!(parse_factor("patern").unwrap_err(), "cells can't be compared by `patern`\nhint: did you mean `pattern`?");
        assert_eq!(parse_metric("aera").unwrap_err(), "no metric is called `aera`\nhint: did you mean `area`?");
    }
}
