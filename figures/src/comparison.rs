//! Differences with intervals: dots with whiskers.

use crate::axis::{Axis, Unit};
use crate::drawing::{Drawing, Key, Mark, Panel, Sample};

/// Paired differences, a row each.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What the figure shows, for those who cannot see it.
    pub title: String,
    /// What differs, such as `difference in area` or `difference in accuracy`, without a unit.
    pub quantity: String,
    /// What dots and whiskers are, such as `mean and 95 % interval`.
    pub interval: String,
    /// Whether differences are of shares, and so in percentage points.
    pub of_shares: bool,
    /// Panels.
    pub groups: Vec<Group>,
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its title.
    pub name: String,
    /// Rows, from the top.
    pub differences: Vec<Difference>,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Which of two is how much better, such as `decreasing 1 - constant`.
    pub name: String,
    /// The mean difference.
    pub mean: f64,
    /// Its interval; `None` where there are too few pairs.
    pub interval: Option<(f64, f64)>,
    /// What else there is to say, such as `n = 12, p = 0.03`.
    pub note: String,
}

impl Comparison {
    pub(crate) fn drawing(&self) -> Drawing {
        let unit = if self.of_shares { Unit::Points } else { Unit::Plain };
        let ends = |difference: &Difference| {
            let (low, high) = difference.interval.unwrap_or((difference.mean, difference.mean));
            [difference.mean, low, high]
        };
        // Panels have one scale, and nothing is on it: whether an interval reaches it is what is asked.
        let values: Vec<f64> = self.groups.iter().flat_map(|group| &group.differences).flat_map(ends).chain([0.0]).collect();
        // Room on the other side of nothing, where all differences are on one.
        let (low, high) = values
            .iter()
            .filter(|value| value.abs() <= 1e18)
            .fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(*value), high.max(*value)));
        let room = (high - low) * 0.06;
        let values: Vec<f64> =
            values.into_iter().chain([if low == 0.0 { -room } else { 0.0 }, if high == 0.0 { room } else { 0.0 }]).collect();
        let panel = |group: &Group| {
            let mut marks = vec![Mark::Rule { x: 0.0 }];
            for (row, difference) in group.differences.iter().enumerate() {
                let y = -(row as f64);
                let style = 0;
                marks.extend(difference.interval.map(|(low, high)| Mark::Whisker { from: (low, y), to: (high, y), style }));
                marks.push(Mark::Markers { points: vec![(difference.mean, y)], style });
            }
            Panel {
                title: group.name.clone(),
                subtitle: String::new(),
                x: Axis::new(&self.quantity, unit, values.iter().copied(), false),
                y: Axis::names(group.differences.iter().map(|difference| difference.name.clone()).collect()),
                marks,
                notes: group.differences.iter().enumerate().map(|(row, difference)| (-(row as f64), difference.note.clone())).collect(),
            }
        };
        let has_intervals = self.groups.iter().flat_map(|group| &group.differences).any(|difference| difference.interval.is_some());
        let n_rows: usize = self.groups.iter().map(|group| group.differences.len()).sum();
        Drawing {
            title: self.title.clone(),
            description: format!("{n_rows} paired differences with their intervals: {}.", self.quantity),
            keys: if has_intervals { vec![Key { label: self.interval.clone(), sample: Sample::Interval }] } else { Vec::new() },
            panels: self.groups.iter().map(panel).collect(),
        }
    }
}
