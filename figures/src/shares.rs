//! How patterns share the branch cost out over the exits.

use crate::axis::{Axis, Unit};
use crate::curves::distinct;
use crate::drawing::{Drawing, Key, Mark, Panel, Sample};
use crate::style::styles;

/// Shares of the branch cost, a panel for each set of networks that are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares {
    /// What the figure shows, for those who cannot see it.
    pub title: String,
    /// Panels.
    pub groups: Vec<Group>,
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What is compared.
    pub name: String,
    /// Under which conditions.
    pub conditions: String,
    /// By whom.
    pub patterns: Vec<Pattern>,
}

/// One pattern's shares.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// Its name.
    pub name: String,
    /// Of each exit, the part of the backbone's MACs done there, and its part of the branch MACs.
    pub points: Vec<(f64, f64)>,
}

impl Shares {
    pub(crate) fn drawing(&self) -> Drawing {
        let patterns = || self.groups.iter().flat_map(|group| &group.patterns);
        let names = distinct(patterns().map(|pattern| pattern.name.as_str()));
        let styles = styles(&names);
        let style = |name: &str| names.iter().position(|known| *known == name).map_or(0, |index| styles[index]);
        let most =
            patterns().flat_map(|pattern| &pattern.points).map(|(_, share)| *share).filter(|share| share.is_finite()).fold(0.0, f64::max);
        // The next ten per cent, so that panels have one scale.
        let top = ((most * 10.0 - 1e-9).ceil() / 10.0).clamp(0.1, 1.0);
        let panel = |group: &Group| Panel {
            title: group.name.clone(),
            subtitle: group.conditions.clone(),
            x: Axis::fixed("backbone MACs done at the exit", Unit::Share, 0.0, 1.0),
            y: Axis::fixed("share of branch MACs", Unit::Share, 0.0, top),
            marks: group
                .patterns
                .iter()
                .flat_map(|pattern| {
                    let (points, style) = (pattern.points.clone(), style(&pattern.name));
                    [Mark::Line { points: points.clone(), style }, Mark::Markers { points, style }]
                })
                .collect(),
            notes: Vec::new(),
        };
        Drawing {
            title: self.title.clone(),
            description: format!("Each exit's share of the branch cost, a line for each of {}.", names.join(", ")),
            keys: names
                .iter()
                .zip(&styles)
                .map(|(name, style)| Key { label: (*name).to_owned(), sample: Sample::Series(*style) })
                .collect(),
            panels: self.groups.iter().map(panel).collect(),
        }
    }
}
