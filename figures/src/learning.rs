//! Loss and accuracy over epochs, means over seeds.

use crate::axis::{Axis, Unit};
use crate::curves::{Estimate, band, distinct, means};
use crate::drawing::{Drawing, Key, Mark, Panel, Sample};
use crate::style::styles;

/// Learning curves, a panel for each quantity.
#[derive(Debug, Clone, PartialEq)]
pub struct Learning {
    /// What the figure shows, for those who cannot see it.
    pub title: String,
    /// What the intervals are, such as `95 % interval over seeds`.
    pub interval: String,
    /// Quantities.
    pub panels: Vec<Quantity>,
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    /// What it shows: whose, and of which exit.
    pub name: String,
    /// What the vertical axis is.
    pub scale: Scale,
    /// A line for each pattern, by epoch.
    pub lines: Vec<Line>,
}

/// What is learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Training loss, summed over exits, in nats.
    Loss,
    /// Accuracy on the calibration split, a share.
    Accuracy,
}

/// One pattern's curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The pattern.
    pub name: String,
    /// By epoch.
    pub points: Vec<Estimate>,
}

/// About so many markers stand on a line, for those who cannot see its colour.
const MARKERS: usize = 6;

impl Learning {
    pub(crate) fn drawing(&self) -> Drawing {
        let lines = || self.panels.iter().flat_map(|panel| &panel.lines);
        let names = distinct(lines().map(|line| line.name.as_str()));
        let styles = styles(&names);
        let style = |name: &str| names.iter().position(|known| *known == name).map_or(0, |index| styles[index]);
        let mut keys: Vec<Key> =
            names.iter().zip(&styles).map(|(name, style)| Key { label: (*name).to_owned(), sample: Sample::Series(*style) }).collect();
        if lines().flat_map(|line| &line.points).any(|point| point.interval.is_some()) {
            keys.push(Key { label: self.interval.clone(), sample: Sample::Band });
        }
        let panel = |panel: &Quantity| {
            let points = || panel.lines.iter().flat_map(|line| &line.points).filter(|point| point.is_finite());
            let (label, unit) = match panel.scale {
                Scale::Loss => ("training loss (nats)", Unit::Plain),
                Scale::Accuracy => ("accuracy", Unit::Share),
            };
            let bands = panel.lines.iter().filter_map(|line| band(&line.points, style(&line.name)));
            let drawn = panel.lines.iter().flat_map(|line| {
                let (points, style) = (means(&line.points), style(&line.name));
                let every = points.len().div_ceil(MARKERS).max(1);
                // Lines that lie close together have their markers at different epochs.
                let markers = points.iter().copied().skip(style * every / 4 % every).step_by(every).collect();
                [Mark::Line { points, style }, Mark::Markers { points: markers, style }]
            });
            Panel {
                title: panel.name.clone(),
                subtitle: String::new(),
                x: Axis::new("epoch", Unit::Whole, points().map(|point| point.at), false),
                y: Axis::new(label, unit, points().flat_map(Estimate::values), false),
                marks: bands.chain(drawn).collect(),
                notes: Vec::new(),
            }
        };
        Drawing {
            title: self.title.clone(),
            description: format!("Loss and accuracy over epochs, a line for each of {}.", names.join(", ")),
            keys,
            panels: self.panels.iter().map(panel).collect(),
        }
    }
}
