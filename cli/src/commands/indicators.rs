//! `offramp frontier --indicators`: frontiers in numbers, and what each pattern contributes to them.

use std::collections::BTreeMap;

use offramp_domain::dataset;
use offramp_domain::frontier::indicators::{self, Scale};
use offramp_domain::frontier::{self, Point};
use serde::Serialize;

use crate::args::{CostChoice, FrontierArguments};
use crate::commands::reached::{self, Group, Groups, Reached};
use crate::failure::Failure;
use crate::output::{Rows, view};
use crate::source::Source;

/// The frontier of a group, or of one pattern in it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(crate) struct IndicatorRow {
    pub(crate) dataset: String,
    pub(crate) backbone: Option<String>,
    pub(crate) trainer: Option<String>,
    /// Absent where it is all patterns together.
    pub(crate) pattern: Option<String>,
    /// Points on the frontier, and points it was chosen from.
    pub(crate) n_frontier: usize,
    pub(crate) n_points: usize,
    /// Area dominated up to the reference, and as a share of what all patterns together dominate.
    pub(crate) hypervolume: f64,
    pub(crate) hypervolume_share: Option<f64>,
    pub(crate) reference_cost: f64,
    pub(crate) reference_accuracy: f64,
    /// Volume dominated in cost, parameters and error, as a share of what all patterns together dominate.
    pub(crate) volume_share: Option<f64>,
    /// Against the frontier of all patterns together, on a scale on which that reaches from 0 to 1 in cost and in accuracy.
    pub(crate) igd_plus: Option<f64>,
    pub(crate) epsilon_additive: Option<f64>,
    /// The same as a factor of costs and accuracies as they are.
    pub(crate) epsilon_multiplicative: Option<f64>,
    /// Where the frontier bends most.
    pub(crate) knee_cost: Option<f64>,
    pub(crate) knee_accuracy: Option<f64>,
}

/// The indicators of each group.
pub(crate) async fn rows(source: &Source, arguments: &FrontierArguments) -> Result<Rows, Failure> {
    let groups = reached::read(source, arguments).await?;
    let view = match arguments.cost {
        CostChoice::Macs | CostChoice::MacsSelected => &view::INDICATORS,
        CostChoice::Params => &view::INDICATORS_BY_PARAMS,
        CostChoice::Latency => &view::INDICATORS_BY_LATENCY,
    };
    Ok(Rows::new(view, &indicators(&groups)))
}

fn indicators(groups: &Groups) -> Vec<IndicatorRow> {
    let mut rows = Vec::new();
    for (group, reached) in groups {
        let all: Vec<&Reached> = reached.iter().collect();
        let whole = Whole::of(group, &all);
        rows.push(whole.row(group, group.pattern.clone(), &all));
        let mut patterns: BTreeMap<&str, Vec<&Reached>> = BTreeMap::new();
        for one in reached {
            patterns.entry(&one.pattern).or_default().push(one);
        }
        if patterns.len() > 1 {
            rows.extend(patterns.into_iter().map(|(pattern, own)| whole.row(group, Some(pattern.to_owned()), &own)));
        }
    }
    rows
}

/// What the frontiers of a group are held against.
struct Whole {
    /// The union frontier, as it is and scaled.
    frontier: Vec<Point>,
    scaled: Vec<Point>,
    scale: Option<Scale>,
    reference: Point,
    hypervolume: f64,
    /// Greatest parameters' reference.
    params: f64,
    volume: f64,
}

fn points(reached: &[&Reached]) -> Vec<Point> {
    reached.iter().map(|one| one.point).collect()
}

/// Costs, parameters and errors: less of each is better.
fn places(reached: &[&Reached]) -> Vec<[f64; 3]> {
    reached.iter().map(|one| [one.point.cost, one.params, 1.0 - one.point.accuracy]).collect()
}

impl Whole {
    fn of(group: &Group, all: &[&Reached]) -> Self {
        let points = points(all);
        let greatest = |values: &mut dyn Iterator<Item = f64>| frontier::reference_cost(values.fold(0.0, f64::max));
        // A guess among the classes. A dataset that this build does not know has no such number; then every answer counts.
        let chance = dataset::parse(&group.dataset).map_or(0.0, |dataset| 1.0 / dataset.n_classes as f64);
        let reference = Point { cost: greatest(&mut points.iter().map(|point| point.cost)), accuracy: chance };
        let params = greatest(&mut all.iter().map(|one| one.params));
        let scale = Scale::of(&points);
        let frontier: Vec<Point> = frontier::non_dominated(&points).into_iter().map(|index| points[index]).collect();
        let mut whole = Self {
            scaled: scale.map_or_else(Vec::new, |scale| frontier.iter().map(|point| scale.put(*point)).collect()),
            frontier,
            scale,
            reference,
            hypervolume: frontier::hypervolume(&points, reference),
            params,
            volume: 0.0,
        };
        whole.volume = whole.volume_of(all);
        whole
    }

    fn volume_of(&self, reached: &[&Reached]) -> f64 {
        frontier::hypervolume_3d(&places(reached), [self.reference.cost, self.params, 1.0 - self.reference.accuracy])
    }

    fn row(&self, group: &Group, pattern: Option<String>, own: &[&Reached]) -> IndicatorRow {
        let points = points(own);
        let share = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
        let hypervolume = frontier::hypervolume(&points, self.reference);
        let scaled: Vec<Point> = self.scale.map_or_else(Vec::new, |scale| points.iter().map(|point| scale.put(*point)).collect());
        let knee = indicators::knee(&points).map(|index| points[index]);
        IndicatorRow {
            dataset: group.dataset.clone(),
            backbone: group.backbone.clone(),
            trainer: group.trainer.clone(),
            pattern,
            n_frontier: frontier::non_dominated(&points).len(),
            n_points: points.len(),
            hypervolume,
            hypervolume_share: share(hypervolume, self.hypervolume),
            reference_cost: self.reference.cost,
            reference_accuracy: self.reference.accuracy,
            volume_share: share(self.volume_of(own), self.volume),
            igd_plus: indicators::igd_plus(&scaled, &self.scaled),
            epsilon_additive: indicators::epsilon_additive(&scaled, &self.scaled),
            epsilon_multiplicative: indicators::epsilon_multiplicative(&points, &self.frontier),
            knee_cost: knee.map(|point| point.cost),
            knee_accuracy: knee.map(|point| point.accuracy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(pattern: &str, cost: f64, accuracy: f64) -> Reached {
        Reached { job: pattern.to_owned(), pattern: pattern.to_owned(), seed: 0, point: Point { cost, accuracy }, params: 2.0 }
    }

    #[test]
    fn patterns_are_held_against_all_of_them_together() {
        let group = Group { dataset: "digits".to_owned(), backbone: None, pattern: None, trainer: None };
        let points = vec![reached("constant", 1.0, 0.5), reached("constant", 3.0, 0.75), reached("none", 3.0, 0.6)];
        let rows = indicators(&Groups::from([(group, points)]));
        let [all, constant, none] = &rows[..] else { panic!("{rows:?}") };
        // Ten classes, and 4 is the next power of two: 3 x (0.5 - 0.1) + 1 x (0.75 - 0.5), and 1 x (0.6 - 0.1).
        assert_eq!((all.reference_cost, all.reference_accuracy, all.n_frontier, all.n_points), (4.0, 0.1, 2, 3));
        assert!((all.hypervolume - 1.45).abs() < 1e-12 && (none.hypervolume - 0.5).abs() < 1e-12, "{rows:?}");
        assert_eq!(all.pattern, None);
        assert_eq!((constant.hypervolume_share, constant.igd_plus, constant.epsilon_additive), (Some(1.0), Some(0.0), Some(0.0)));
        // From (1, 0.5) to (3, 0.75) is one in both: `none` costs 1 more than the first and lacks 0.6 of the second's accuracy.
        assert!((none.epsilon_additive.unwrap() - 1.0).abs() < 1e-12, "{none:?}");
        assert!((none.igd_plus.unwrap() - f64::midpoint(1.0, 0.6)).abs() < 1e-12, "{none:?}");
        // Its point has to become 3 times as cheap to match the first; the second asks for 0.75 / 0.6 only.
        assert!((none.epsilon_multiplicative.unwrap() - 3.0).abs() < 1e-12, "{none:?}");
        // All networks are as large as their reference, so there is no volume to share in.
        assert_eq!((all.volume_share, all.knee_cost), (None, None));
    }
}
