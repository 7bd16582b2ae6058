//! Hypervolume of frontiers over time.

use crate::axis::{Axis, Unit};
use crate::curves::distinct;
use crate::drawing::{Drawing, Key, Mark, Panel, Sample};
use crate::style::{Style, styles};

/// How frontiers grew.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// What the figure shows, for those who cannot see it.
    pub title: String,
    /// Frontiers.
    pub lines: Vec<Line>,
}

/// One frontier's growth.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The frontier.
    pub name: String,
    /// Unix microseconds, and the hypervolume from then on as a share of the box between its reference and a free, perfect prediction.
    pub points: Vec<(i64, f64)>,
}

/// Times in the axis' unit, with hypervolumes.
type Points = Vec<(f64, f64)>;

/// Units of time with their seconds, and from how many seconds on they are used.
const UNITS: [(&str, f64, f64); 4] = [("s", 1.0, 0.0), ("min", 60.0, 180.0), ("h", 3_600.0, 10_800.0), ("days", 86_400.0, 259_200.0)];

impl History {
    pub(crate) fn drawing(&self) -> Drawing {
        let names = distinct(self.lines.iter().map(|line| line.name.as_str()));
        let styles = styles(&names);
        let style = |name: &str| names.iter().position(|known| *known == name).map_or(0, |index| styles[index]);
        let times = || self.lines.iter().flat_map(|line| &line.points).filter(|point| point.1.is_finite()).map(|point| point.0);
        let begin = times().min().unwrap_or(0);
        let seconds = |at_us: i64| at_us.saturating_sub(begin) as f64 / 1e6;
        let longest = times().map(seconds).fold(0.0, f64::max);
        let (unit, length, _) = UNITS.into_iter().rev().find(|(_, _, from)| longest >= *from).expect("seconds are used from nothing on");
        let lines: Vec<(Style, Points, Points)> = self
            .lines
            .iter()
            .map(|line| {
                let mut points: Vec<&(i64, f64)> = line.points.iter().filter(|point| point.1.is_finite()).collect();
                points.sort_by_key(|point| point.0);
                let points: Vec<(f64, f64)> = points.into_iter().map(|(at_us, volume)| (seconds(*at_us) / length, *volume)).collect();
                (style(&line.name), steps(&points, longest / length), points)
            })
            .collect();
        let all = || lines.iter().flat_map(|(_, steps, _)| steps);
        let keys = names.iter().zip(&styles).filter(|_| names.len() > 1);
        Drawing {
            title: self.title.clone(),
            description: format!("Hypervolume over time, a line for each of {}.", names.join(", ")),
            keys: keys.map(|(name, style)| Key { label: (*name).to_owned(), sample: Sample::Series(*style) }).collect(),
            panels: vec![Panel {
                title: if names.len() == 1 { names[0].to_owned() } else { String::new() },
                subtitle: String::new(),
                x: Axis::new(&format!("time since the first result ({unit})"), Unit::Plain, all().map(|point| point.0), false),
                y: Axis::new("hypervolume", Unit::Share, all().map(|point| point.1), false),
                marks: lines
                    .iter()
                    .flat_map(|(style, steps, entered)| {
                        [Mark::Line { points: steps.clone(), style: *style }, Mark::Sparse { points: entered.clone(), style: *style }]
                    })
                    .collect(),
                notes: Vec::new(),
            }],
        }
    }
}

/// Level from one time to the next, and from the last to the end.
fn steps(points: &[(f64, f64)], end: f64) -> Vec<(f64, f64)> {
    let mut steps: Vec<(f64, f64)> = Vec::new();
    for &(at, value) in points {
        if let Some(&(_, before)) = steps.last() {
            steps.push((at, before));
        }
        steps.push((at, value));
    }
    if let Some(&(_, last)) = steps.last() {
        steps.push((end, last));
    }
    steps
}
