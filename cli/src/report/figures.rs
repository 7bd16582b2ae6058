//! Figures in the page: drawn as `offramp plot` draws them, with their styles moved into the page's own.

use std::collections::BTreeSet;

use maud::{Markup, PreEscaped, html};
use offramp_domain::compare::Comparison;
use offramp_figures::{Figure, Look, Size, Theme, comparison, svg};
use offramp_proto::v1;

use crate::args::{CostAxis, CostChoice, GroupingChoice};
use crate::commands::plot::drawn;
use crate::report::Material;
use crate::report::parts::{note, text};
use crate::text::percent_whole;

/// The figures, as far as there is something to draw.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) frontier: Drawing,
    pub(super) curves: Drawing,
    pub(super) learning: Drawing,
}

/// A figure, or why there is none.
#[derive(Debug)]
pub(super) enum Drawing {
    /// SVG with its style taken out.
    Drawn { svg: String, style: String },
    /// Why not; empty where nothing needs to be said.
    Not(String),
}

impl Default for Drawing {
    fn default() -> Self {
        Self::Not(String::new())
    }
}

const AXIS: CostAxis = CostAxis { cost: CostChoice::Macs, log: false };

impl Figures {
    pub(super) fn draw(material: &Material) -> Self {
        let details: Vec<v1::JobDetail> =
            material.stories().filter(|(job, _)| job.state == "succeeded").map(|(_, detail)| detail.clone()).collect();
        if details.is_empty() {
            return Self::default();
        }
        let by = if super::cells::distinct(&material.jobs, |job| &job.pattern).len() > 1 {
            GroupingChoice::Pattern
        } else {
            GroupingChoice::Dataset
        };
        let lines = drawn::Lines { by, axis: AXIS, knee: true, bands: true };
        let policy = most_common_policy(&details);
        let drawing = |drawn: Result<Option<Figure>, crate::failure::Failure>| match drawn {
            Ok(Some(figure)) => Drawing::of(&figure),
            Ok(None) => Drawing::default(),
            Err(failure) => Drawing::Not(format!("No figure: {}.", failure.parts().0)),
        };
        Self {
            frontier: drawing(drawn::frontier(&details, lines)),
            curves: drawing(drawn::curves(&details, &policy, AXIS)),
            learning: drawing(drawn::learning(&details)),
        }
    }

    /// The styles of all of them, each once.
    pub(super) fn styles(drawings: &[&Drawing]) -> String {
        let styles: BTreeSet<&str> = drawings
            .iter()
            .filter_map(|drawing| match drawing {
                Drawing::Drawn { style, .. } => Some(style.as_str()),
                Drawing::Not(_) => None,
            })
            .collect();
        styles.into_iter().collect()
    }
}

/// Policies are drawn one at a time: the first threshold policy of the results, or none but the fixed exits.
fn most_common_policy(details: &[v1::JobDetail]) -> String {
    let policies = || details.iter().flat_map(|detail| &detail.operating_points).map(|point| point.policy.as_str());
    policies().find(|policy| *policy != "fixed").unwrap_or("fixed").to_owned()
}

impl Drawing {
    pub(super) fn of(figure: &Figure) -> Self {
        let drawn = svg(figure, Look { theme: Theme::Auto, size: Size::PAGE });
        let (before, rest) = drawn.split_once("<style>").unwrap_or((&drawn, "</style>"));
        let (style, after) = rest.split_once("</style>").unwrap_or(("", ""));
        Self::Drawn { svg: format!("{before}{after}"), style: style.to_owned() }
    }

    /// The figure with its caption. Its drawing comes from the figures' own writer, which makes names inert.
    pub(super) fn show(&self, caption: &str) -> Markup {
        match self {
            Self::Drawn { svg, .. } => html! { figure { (PreEscaped(svg)) figcaption { (text(caption)) } } },
            Self::Not(why) if why.is_empty() => html! {},
            Self::Not(why) => note(why),
        }
    }
}

/// Differences with their intervals.
pub(super) fn differences(comparison: &Comparison) -> Drawing {
    let difference = |pair: &offramp_domain::compare::Pair| {
        Some(comparison::Difference {
            name: format!("{} \u{2212} {}", pair.level, pair.other),
            mean: pair.mean_difference?,
            interval: pair.interval.as_ref().ok().map(|interval| (interval.low, interval.high)),
            note: format!("n = {}", pair.n_pairs),
        })
    };
    let differences: Vec<comparison::Difference> = comparison.pairs.iter().filter_map(difference).collect();
    let interval = percent_whole(comparison.confidence);
    Drawing::of(&Figure::Comparison(comparison::Comparison {
        title: format!("Differences by pattern, with {interval} intervals"),
        quantity: "difference in area".to_owned(),
        interval: format!("mean and {interval} interval"),
        of_shares: false,
        groups: vec![comparison::Group { name: String::new(), differences }],
    }))
}
