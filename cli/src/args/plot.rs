//! Arguments of `offramp plot`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use offramp_figures::{Cost, Size, Theme};

use crate::args::compare::{MetricArguments, SweepsArguments, parse_factor, parse_unit};
use crate::args::{GroupingChoice, SourceArguments};
use offramp_domain::compare::{Factor, Unit};
use offramp_proto::v1;

/// What is drawn.
#[derive(Debug, Subcommand)]
pub(crate) enum PlotCommand {
    /// Draw the accuracy-cost frontier, with the points that it dominates and what single seeds attain
    Frontier(PlotFrontierArguments),
    /// Draw accuracy against cost, a line for each pattern, with intervals over seeds
    Curves(PlotCurvesArguments),
    /// Draw which part of the images leaves at each exit, over the cost of a policy's operating points
    Shares(PlotCurvesArguments),
    /// Draw loss and accuracy of every exit over epochs, a line for each pattern, with intervals over seeds
    Learning(PlotLearningArguments),
    /// Draw how the area under the frontier grew
    History(PlotHistoryArguments),
    /// Draw differences between patterns, or another factor, with their intervals
    Compare(PlotCompareArguments),
    /// Draw mean ranks of patterns, or another factor, with Nemenyi's critical difference
    Ranks(PlotCompareArguments),
}

/// Where a picture goes, and how it looks.
#[derive(Debug, Clone, Args)]
pub(crate) struct PictureArguments {
    /// The file: .svg, or .png for pixels; `-` writes SVG to stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    pub(crate) force: bool,
    /// The background; `auto` is light, and dark where the viewer of an SVG asks for it
    #[arg(long, value_enum, value_name = "THEME", default_value = "auto")]
    pub(crate) theme: ThemeChoice,
    /// One column of a paper (`column`, 3.5 inches), both (`page`, 7 inches), or inches such as `7` and `7x4`
    #[arg(long, value_name = "SIZE", default_value = "page", value_parser = parse_size)]
    pub(crate) size: Size,
    /// Width of a PNG in pixels [default: 300 an inch]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(50..=20_000))]
    pub(crate) width: Option<u32>,
}

/// The background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ThemeChoice {
    /// What the viewer asks for
    Auto,
    /// White
    Light,
    /// Dark
    Dark,
}

impl ThemeChoice {
    /// As the figures say it.
    pub(crate) const fn theme(self) -> Theme {
        match self {
            Self::Auto => Theme::Auto,
            Self::Light => Theme::Light,
            Self::Dark => Theme::Dark,
        }
    }
}

/// Which jobs are drawn.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlotJobsArguments {
    /// The sweep: `last`, an id, or a name
    #[arg(value_name = "SWEEP", default_value = "last")]
    pub(crate) sweep: String,
    /// Only jobs that this filter lets through, such as `backbone = resnet56 and pattern.slope > 0`
    #[arg(long = "where", value_name = "FILTER", default_value = "", hide_default_value = true)]
    pub(crate) filter: String,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
}

/// What a prediction costs, and how its axis runs.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct CostAxis {
    /// What a prediction is taken to cost
    #[arg(long, value_enum, value_name = "COST", default_value = "macs")]
    pub(crate) cost: super::CostChoice,
    /// A logarithmic cost axis
    #[arg(long)]
    pub(crate) log: bool,
}

/// What an axis calls a cost.
pub(crate) const fn axis(cost: super::CostChoice) -> Cost {
    match cost {
        super::CostChoice::Macs | super::CostChoice::MacsSelected => Cost::Macs,
        super::CostChoice::Params => Cost::Params,
        super::CostChoice::Latency => Cost::LatencyUs,
    }
}

/// Arguments of `offramp plot frontier`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp plot frontier --out frontier.svg
  offramp plot frontier digits --by pattern --knee --size column --out frontier.png
  offramp plot frontier --cost latency --log --where 'backbone = resnet56' --out latency.svg

There is a panel for each dataset. From three seeds on, what single seeds attain is drawn: the
median, and the band from the worst seed to the best.")]
pub(crate) struct PlotFrontierArguments {
    /// Which jobs.
    #[command(flatten)]
    pub(crate) jobs: PlotJobsArguments,
    /// A line for each dataset, or for each backbone or pattern in it
    #[arg(long, value_enum, value_name = "GROUPING", default_value = "dataset")]
    pub(crate) by: GroupingChoice,
    /// The cost.
    #[command(flatten)]
    pub(crate) axis: CostAxis,
    /// Mark where each frontier bends most
    #[arg(long)]
    pub(crate) knee: bool,
    /// The frontier of all seeds together, without a band
    #[arg(long)]
    pub(crate) no_bands: bool,
    /// Where it goes.
    #[command(flatten)]
    pub(crate) picture: PictureArguments,
}

/// Arguments of `offramp plot curves` and `offramp plot shares`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp plot curves --out curves.svg
  offramp plot curves digits --policy entropy --size column --out curves.png
  offramp plot shares --where 'backbone = resnet20 and seed = 0' --out shares.svg

There is a panel for each backbone, dataset, exits, budget and recipe; of `shares` for each pattern
in them, too, of the first seed.")]
pub(crate) struct PlotCurvesArguments {
    /// Which jobs.
    #[command(flatten)]
    pub(crate) jobs: PlotJobsArguments,
    /// Whose operating points
    #[arg(long, value_name = "POLICY", default_value = "max-softmax")]
    pub(crate) policy: String,
    /// The cost.
    #[command(flatten)]
    pub(crate) axis: CostAxis,
    /// Where it goes.
    #[command(flatten)]
    pub(crate) picture: PictureArguments,
}

/// Arguments of `offramp plot learning`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp plot learning --out learning.svg
  offramp plot learning digits --where 'backbone = resnet8' --size 7x5 --out learning.png")]
pub(crate) struct PlotLearningArguments {
    /// Which jobs.
    #[command(flatten)]
    pub(crate) jobs: PlotJobsArguments,
    /// Where it goes.
    #[command(flatten)]
    pub(crate) picture: PictureArguments,
}

/// Arguments of `offramp plot history`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp plot history --out history.svg
  offramp plot history --global --by backbone --size column --out history.png

The area is a share of the box between the reference (docs/RESULTS.md) and a free, perfect
prediction.")]
pub(crate) struct PlotHistoryArguments {
    /// The sweep: `last`, an id, or a name
    #[arg(value_name = "SWEEP", default_value = "last")]
    pub(crate) sweep: String,
    /// The results of all sweeps together instead
    #[arg(long, conflicts_with = "sweep")]
    pub(crate) global: bool,
    /// One frontier for each dataset, or for each dataset and backbone or pattern
    #[arg(long, value_enum, value_name = "GROUPING", default_value = "dataset")]
    pub(crate) by: GroupingChoice,
    /// What a prediction is taken to cost
    #[arg(long, value_enum, value_name = "COST", default_value = "macs")]
    pub(crate) cost: super::CostChoice,
    /// Where to read.
    #[command(flatten)]
    pub(crate) source: SourceArguments,
    /// Where it goes.
    #[command(flatten)]
    pub(crate) picture: PictureArguments,
}

/// Arguments of `offramp plot compare` and `offramp plot ranks`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  offramp plot compare --baseline none --out compare.svg
  offramp plot compare --at 50% --size column --out compare.png
  offramp plot ranks --all-sweeps --out ranks.svg

The numbers are those of `offramp compare`.")]
pub(crate) struct PlotCompareArguments {
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
    /// Where it goes.
    #[command(flatten)]
    pub(crate) picture: PictureArguments,
}

impl PlotCompareArguments {
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

/// Reads `column`, `page`, `7` or `7x4`.
fn parse_size(text: &str) -> Result<Size, String> {
    let inches = |text: &str| text.parse::<f64>().map_err(|_| "write `column`, `page`, or inches as in `7` and `7x4`".to_owned());
    match text {
        "column" => Ok(Size::COLUMN),
        "page" => Ok(Size::PAGE),
        _ => {
            let (width, height) = match text.split_once('x') {
                Some((width, height)) => (inches(width)?, Some(inches(height)?)),
                None => (inches(text)?, None),
            };
            Size::inches(width, height).map_err(|error| error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_names_or_inches() {
        assert_eq!(parse_size("column"), Ok(Size::COLUMN));
        assert_eq!(parse_size("7"), Ok(Size::PAGE));
        assert_eq!(parse_size("7x4.5"), Ok(Size::inches(7.0, Some(4.5)).unwrap()));
        assert_eq!(parse_size("7x"), Err("write `column`, `page`, or inches as in `7` and `7x4`".to_owned()));
        assert_eq!(parse_size("1"), Err("a side of 1 inches is not between 2 and 40".to_owned()));
        assert!(parse_size("NaN").is_err());
    }
}
