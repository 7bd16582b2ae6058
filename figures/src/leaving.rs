//! Which part of the images leaves at each exit, over the cost of operating points.

use crate::axis::{Axis, Cost, Unit};
use crate::drawing::{Drawing, Key, Mark, Panel, Sample};
use crate::style::ordered;

/// Shares of the images per exit, a panel for each network.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaving {
    /// What the figure shows, for those who cannot see it.
    pub title: String,
    /// What the cost is.
    pub cost: Cost,
    /// Networks.
    pub groups: Vec<Group>,
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The network.
    pub name: String,
    /// Under which conditions.
    pub conditions: String,
    /// Operating points: the cost, and the share of the images that leaves at each exit.
    pub points: Vec<(f64, Vec<f64>)>,
}

impl Leaving {
    pub(crate) fn drawing(&self) -> Drawing {
        let n_exits = self.groups.iter().flat_map(|group| &group.points).map(|(_, shares)| shares.len()).max().unwrap_or(0);
        let keys = (0..n_exits).map(|exit| {
            let label = if exit + 1 == n_exits { format!("exit {exit} (final)") } else { format!("exit {exit}") };
            Key { label, sample: Sample::Fill(ordered(exit, n_exits)) }
        });
        Drawing {
            title: self.title.clone(),
            description: format!("Share of the images that leaves at each of {n_exits} exits, over the cost per image."),
            keys: keys.collect(),
            panels: self.groups.iter().map(|group| self.panel(group, n_exits)).collect(),
        }
    }

    fn panel(&self, group: &Group, n_exits: usize) -> Panel {
        let mut points: Vec<&(f64, Vec<f64>)> = group.points.iter().filter(|(cost, _)| cost.is_finite()).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Up to which height all exits up to this one reach.
        let below = |shares: &[f64], exit: usize| {
            shares.iter().take(exit).filter(|share| share.is_finite()).map(|share| share.clamp(0.0, 1.0)).sum::<f64>().min(1.0)
        };
        let (first, last) = (points.first().map_or(0.0, |point| point.0), points.last().map_or(1.0, |point| point.0));
        let marks = (0..n_exits).map(|exit| {
            let upper = points.iter().map(|(cost, shares)| (*cost, below(shares, exit + 1)));
            let lower = points.iter().rev().map(|(cost, shares)| (*cost, below(shares, exit)));
            Mark::Fill { outline: upper.chain(lower).collect(), colour: ordered(exit, n_exits) }
        });
        let mut x = Axis::of_cost(self.cost, [first, last], false);
        // Areas fill the panel from the cheapest point to the dearest.
        if first < last && x.takes(first) && x.takes(last) {
            x = x.between(first, last);
        }
        Panel {
            title: group.name.clone(),
            subtitle: group.conditions.clone(),
            x,
            y: Axis::fixed("images that leave", Unit::Share, 0.0, 1.0),
            marks: marks.collect(),
            notes: Vec::new(),
        }
    }
}
