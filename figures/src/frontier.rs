//! Frontiers: what accuracy is to be had for what cost.

use crate::axis::{Axis, Cost, Unit};
use crate::drawing::{Drawing, Key, Mark, Panel, Sample};
use crate::style::{Style, styles};

/// Frontiers of one or more groups, a panel each.
#[derive(Debug, Clone, PartialEq)]
pub struct Frontier {
    /// What the figure shows, for those who cannot see it.
    pub title: String,
    /// What the cost is.
    pub cost: Cost,
    /// Whether the cost axis is logarithmic.
    pub log_cost: bool,
    /// Panels: what is not compared, such as datasets.
    pub groups: Vec<Group>,
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its title.
    pub name: String,
    /// What is compared in it.
    pub series: Vec<Series>,
}

/// One frontier. Points are (cost, accuracy), the accuracy a share.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// The points on the frontier.
    pub frontier: Vec<(f64, f64)>,
    /// Points that others dominate.
    pub dominated: Vec<(f64, f64)>,
    /// What single seeds attain; drawn in place of the frontier of all of them.
    pub band: Option<Band>,
    /// A point to mark.
    pub knee: Option<(f64, f64)>,
}

/// Attainment surfaces over seeds: at each cost the accuracy that one seed, half of them, and all of them attain.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Of at least one seed.
    pub best: Vec<(f64, f64)>,
    /// Of at least half of the seeds.
    pub median: Vec<(f64, f64)>,
    /// Of every seed.
    pub worst: Vec<(f64, f64)>,
    /// How many seeds.
    pub n_seeds: usize,
}

impl Frontier {
    pub(crate) fn drawing(&self) -> Drawing {
        let mut names: Vec<&str> = Vec::new();
        for series in self.groups.iter().flat_map(|group| &group.series) {
            if !names.contains(&series.name.as_str()) {
                names.push(&series.name);
            }
        }
        let styles = styles(&names);
        let style = |name: &str| names.iter().position(|known| *known == name).map_or(0, |index| styles[index]);
        let all = || self.groups.iter().flat_map(|group| &group.series);
        let mut keys: Vec<Key> = Vec::new();
        // One band needs no name beside the panel's title.
        if names.len() > 1 || all().all(|series| series.band.is_none()) {
            keys.extend(names.iter().zip(&styles).map(|(name, style)| Key { label: (*name).to_owned(), sample: Sample::Series(*style) }));
        }
        let seeds: Vec<usize> = all().filter_map(|series| series.band.as_ref()).map(|band| band.n_seeds).collect();
        if let (Some(least), Some(most)) = (seeds.iter().min(), seeds.iter().max()) {
            let n = if least == most { most.to_string() } else { format!("{least} to {most}") };
            keys.push(Key { label: "median seed".to_owned(), sample: Sample::Line });
            keys.push(Key { label: format!("worst to best of {n} seeds"), sample: Sample::Band });
        }
        if all().any(|series| !series.dominated.is_empty()) {
            keys.push(Key { label: "dominated".to_owned(), sample: Sample::Dominated });
        }
        if all().any(|series| series.knee.is_some()) {
            keys.push(Key { label: "knee".to_owned(), sample: Sample::Knee });
        }
        let n_points: usize = all().map(|series| series.frontier.len()).sum();
        Drawing {
            title: self.title.clone(),
            description: format!("Accuracy against cost: {} over {n_points} points on the frontier.", names.join(", ")),
            keys,
            panels: self.groups.iter().map(|group| self.panel(group, &style)).collect(),
        }
    }

    fn panel(&self, group: &Group, style: &impl Fn(&str) -> Style) -> Panel {
        let band = |series: &Series| {
            series.band.iter().flat_map(|band| [&band.best, &band.median, &band.worst]).flatten().copied().collect::<Vec<_>>()
        };
        let points: Vec<(f64, f64)> = group
            .series
            .iter()
            .flat_map(|series| series.frontier.iter().chain(&series.dominated).copied().chain(band(series)))
            .filter(|(cost, accuracy)| cost.is_finite() && accuracy.is_finite())
            .collect();
        let x = Axis::of_cost(self.cost, points.iter().map(|point| point.0), self.log_cost);
        let y = Axis::new("accuracy", Unit::Share, points.iter().map(|point| point.1), false);
        let end = x.ends().1;
        let mut marks = Vec::new();
        for series in &group.series {
            marks.push(Mark::Faint { points: series.dominated.clone(), style: style(&series.name) });
        }
        for series in &group.series {
            let style = style(&series.name);
            let Some(band) = &series.band else { continue };
            let (best, worst) = (sorted(&band.best), sorted(&band.worst));
            marks.push(Mark::Band { outline: between(&best, &worst, end), style });
            marks.push(Mark::Edge { points: staircase(&best, end), style });
            marks.push(Mark::Edge { points: staircase(&worst, end), style });
        }
        for series in &group.series {
            let style = style(&series.name);
            let line = series.band.as_ref().map_or(&series.frontier, |band| &band.median);
            let line = sorted(line);
            marks.push(Mark::Line { points: staircase(&line, end), style });
            marks.push(Mark::Sparse { points: line, style });
            marks.extend(series.knee.map(|point| Mark::Ring { point, style }));
        }
        Panel { title: group.name.clone(), subtitle: String::new(), x, y, marks, notes: Vec::new() }
    }
}

/// The points that can be drawn, cheapest first.
fn sorted(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = points.iter().copied().filter(|(cost, accuracy)| cost.is_finite() && accuracy.is_finite()).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    points
}

/// The accuracy to be had for at most each cost: level from a point to the next one's cost, and from the last to the end.
fn staircase(points: &[(f64, f64)], end: f64) -> Vec<(f64, f64)> {
    let mut steps: Vec<(f64, f64)> = Vec::new();
    for &(cost, accuracy) in points {
        if let Some(&(_, before)) = steps.last() {
            steps.push((cost, before));
        }
        steps.push((cost, accuracy));
    }
    if let Some(&(_, last)) = steps.last() {
        steps.push((end, last));
    }
    steps
}

/// The outline of what lies between two staircases, from where both have begun.
fn between(best: &[(f64, f64)], worst: &[(f64, f64)], end: f64) -> Vec<(f64, f64)> {
    let Some(&(begin, _)) = worst.first() else { return Vec::new() };
    let Some(at_begin) = best.iter().rev().find(|point| point.0 <= begin) else { return Vec::new() };
    let upper: Vec<(f64, f64)> = std::iter::once((begin, at_begin.1)).chain(best.iter().copied().filter(|point| point.0 > begin)).collect();
    let mut outline = staircase(&upper, end);
    outline.extend(staircase(worst, end).into_iter().rev());
    outline
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staircase_is_level_up_to_the_next_point() {
        assert_eq!(staircase(&[(1.0, 0.5), (3.0, 0.7)], 4.0), [(1.0, 0.5), (3.0, 0.5), (3.0, 0.7), (4.0, 0.7)]);
        assert!(staircase(&[], 4.0).is_empty());
    }

    #[test]
    fn a_band_begins_where_every_seed_has_a_point() {
        let outline = between(&[(1.0, 0.5), (3.0, 0.7)], &[(2.0, 0.4)], 4.0);
        assert_eq!(outline, [(2.0, 0.5), (3.0, 0.5), (3.0, 0.7), (4.0, 0.7), (4.0, 0.4), (2.0, 0.4)]);
    }
}
