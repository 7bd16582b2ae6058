//! Accuracy against cost, a line for each pattern.

use crate::axis::{Axis, Cost, Unit};
use crate::drawing::{Drawing, Key, Mark, Panel, Sample};
use crate::style::{Style, styles};

/// A mean over seeds with an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Where: a cost, or an epoch.
    pub at: f64,
    /// The mean.
    pub mean: f64,
    /// The interval; `None` where there is one seed.
    pub interval: Option<(f64, f64)>,
}

/// Curves of one or more groups, a panel each.
#[derive(Debug, Clone, PartialEq)]
pub struct Curves {
    /// What the figure shows, for those who cannot see it.
    pub title: String,
    /// What the cost is.
    pub cost: Cost,
    /// Whether the cost axis is logarithmic.
    pub log_cost: bool,
    /// What the lines are, such as `max-softmax policy`.
    pub policy: String,
    /// What the intervals are, such as `95 % interval over seeds`.
    pub interval: String,
    /// What is not compared, such as backbones and datasets.
    pub groups: Vec<Group>,
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its title.
    pub name: String,
    /// Under which conditions.
    pub conditions: String,
    /// What is compared in it.
    pub curves: Vec<Curve>,
}

/// One pattern's curves. Accuracies are shares.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The pattern.
    pub name: String,
    /// What every image gets that leaves at one exit: the anytime curve. Drawn as markers.
    pub exits: Vec<Estimate>,
    /// What a policy reaches. Drawn as a line.
    pub policy: Vec<Estimate>,
}

impl Curves {
    pub(crate) fn drawing(&self) -> Drawing {
        let curves = || self.groups.iter().flat_map(|group| &group.curves);
        let names = distinct(curves().map(|curve| curve.name.as_str()));
        let styles = styles(&names);
        let style = |name: &str| names.iter().position(|known| *known == name).map_or(0, |index| styles[index]);
        let mut keys: Vec<Key> =
            names.iter().zip(&styles).map(|(name, style)| Key { label: (*name).to_owned(), sample: Sample::Series(*style) }).collect();
        if curves().any(|curve| !curve.policy.is_empty()) {
            keys.push(Key { label: self.policy.clone(), sample: Sample::Line });
        }
        if curves().any(|curve| !curve.exits.is_empty()) {
            keys.push(Key { label: "every image at one exit".to_owned(), sample: Sample::Exits });
        }
        if curves().flat_map(|curve| curve.policy.iter().chain(&curve.exits)).any(|point| point.interval.is_some()) {
            keys.push(Key { label: self.interval.clone(), sample: Sample::Band });
        }
        Drawing {
            title: self.title.clone(),
            description: format!("Accuracy against cost, a line for each of {}.", names.join(", ")),
            keys,
            panels: self.groups.iter().map(|group| self.panel(group, &style)).collect(),
        }
    }

    fn panel(&self, group: &Group, style: &impl Fn(&str) -> Style) -> Panel {
        let points = || group.curves.iter().flat_map(|curve| curve.exits.iter().chain(&curve.policy)).filter(|point| point.is_finite());
        let mut marks = Vec::new();
        for curve in &group.curves {
            marks.extend(band(&curve.policy, style(&curve.name)));
        }
        for curve in &group.curves {
            let style = style(&curve.name);
            marks.push(Mark::Line { points: means(&curve.policy), style });
            marks.push(Mark::Dotted { points: means(&curve.exits), style });
            for exit in &curve.exits {
                marks.extend(exit.interval.map(|(low, high)| Mark::Whisker { from: (exit.at, low), to: (exit.at, high), style }));
            }
            marks.push(Mark::Markers { points: means(&curve.exits), style });
        }
        Panel {
            title: group.name.clone(),
            subtitle: group.conditions.clone(),
            x: Axis::of_cost(self.cost, points().map(|point| point.at), self.log_cost),
            y: Axis::new("accuracy", Unit::Share, points().flat_map(Estimate::values), false),
            marks,
            notes: Vec::new(),
        }
    }
}

impl Estimate {
    /// Whether it can be drawn.
    pub(crate) fn is_finite(&self) -> bool {
        self.at.is_finite() && self.mean.is_finite()
    }

    /// The mean and the interval's ends.
    pub(crate) fn values(&self) -> impl Iterator<Item = f64> + use<> {
        std::iter::once(self.mean).chain(self.interval.into_iter().flat_map(|(low, high)| [low, high]))
    }
}

/// Names, in the order in which they first appear.
pub(crate) fn distinct<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The means as a line.
pub(crate) fn means(points: &[Estimate]) -> Vec<(f64, f64)> {
    points.iter().filter(|point| point.is_finite()).map(|point| (point.at, point.mean)).collect()
}

/// The intervals as an area.
pub(crate) fn band(points: &[Estimate], style: Style) -> Option<Mark> {
    let ends: Vec<(f64, f64, f64)> = points
        .iter()
        .filter(|point| point.is_finite())
        .filter_map(|point| point.interval.map(|(low, high)| (point.at, low, high)))
        .filter(|(_, low, high)| low.is_finite() && high.is_finite())
        .collect();
    let upper = ends.iter().map(|(at, _, high)| (*at, *high));
    let lower = ends.iter().rev().map(|(at, low, _)| (*at, *low));
    (ends.len() > 1).then(|| Mark::Band { outline: upper.chain(lower).collect(), style })
}
