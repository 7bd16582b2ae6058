//! Two results of one job, number by number.

use offramp_domain::outcome::Outcome;
use offramp_proto::v1;
use serde::Serialize;

/// What a comparison comes to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Compared {
    /// What was compared, kind by kind, in the order in which it was first met.
    pub(super) kinds: Vec<Kind>,
    /// What is not equal, those that differ most first.
    pub(super) differences: Vec<Difference>,
}

/// Numbers of one kind.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Kind {
    /// What they are.
    pub(super) what: String,
    /// How many there are in one of the two results at least.
    pub(super) n_compared: usize,
    /// How many are equal to the last bit.
    pub(super) n_equal: usize,
    /// How many are not.
    pub(super) n_different: usize,
    /// The largest absolute difference; absent where all are equal, and where one of the two lacks a number.
    pub(super) largest_difference: Option<f64>,
}

/// A number that is not the same.
#[derive(Debug, PartialEq, Serialize)]
#[expect(clippy::struct_field_names, reason = "the fields are the columns that are printed")]
pub(super) struct Difference {
    /// What it is.
    pub(super) what: String,
    /// Of which exit or operating point.
    pub(super) place: String,
    /// As it is stored; absent where it is not there.
    pub(super) stored: Option<f64>,
    /// As it came out here.
    pub(super) here: Option<f64>,
    /// The absolute difference; absent where one of the two is.
    pub(super) difference: Option<f64>,
}

impl Compared {
    /// Whether there was something to compare, and all of it is equal.
    pub(super) fn is_equal(&self) -> bool {
        self.differences.is_empty() && self.n_compared() > 0
    }

    /// How many numbers were compared.
    pub(super) fn n_compared(&self) -> usize {
        self.kinds.iter().map(|kind| kind.n_compared).sum()
    }

    /// Compares a stored result with one that came out here.
    pub(super) fn new(stored: &v1::JobDetail, here: &Outcome) -> Self {
        let mut compared = Self::default();
        compared.count("exits", "the job", stored.exits.len(), here.exits.len());
        compared.count("operating points", "the job", stored.operating_points.len(), here.operating_points.len());
        for (index, stored) in stored.exits.iter().enumerate() {
            let place = format!("exit {index}");
            compared.number("images tested on", &place, Some(f64::from(stored.n_test)), Some(f64::from(here.n_test)));
            compared.number("images calibrated on", &place, Some(f64::from(stored.n_calibration)), Some(f64::from(here.n_calibration)));
        }
        for index in 0..stored.exits.len().max(here.exits.len()) {
            compared.exit(&format!("exit {index}"), stored.exits.get(index), here.exits.get(index));
        }
        compared.points(stored, here);
        let size = |difference: &Difference| difference.difference.unwrap_or(f64::INFINITY);
        compared.differences.sort_by(|a, b| size(b).total_cmp(&size(a)));
        compared
    }

    fn exit(&mut self, place: &str, stored: Option<&v1::ExitRow>, here: Option<&offramp_domain::outcome::ExitResult>) {
        type Numbers = [Option<f64>; 8];
        const NAMES: [&str; 8] = [
            "accuracy",
            "loss",
            "top-5 accuracy",
            "calibration error",
            "accuracy (calibration split)",
            "loss (calibration split)",
            "top-5 accuracy (calibration split)",
            "calibration error (calibration split)",
        ];
        let stored: Numbers = stored.map_or([None; 8], |exit| {
            let v1::ExitRow { accuracy, loss, calibration_accuracy, calibration_loss, .. } = exit;
            let (test, calibration) = ([Some(*accuracy), Some(*loss)], [Some(*calibration_accuracy), Some(*calibration_loss)]);
            let (of_test, of_calibration) = ([exit.top5_accuracy, exit.ece], [exit.calibration_top5_accuracy, exit.calibration_ece]);
            [test[0], test[1], of_test[0], of_test[1], calibration[0], calibration[1], of_calibration[0], of_calibration[1]]
        });
        let here: Numbers = here.map_or([None; 8], |exit| {
            [
                Some(exit.accuracy),
                Some(exit.loss),
                exit.top5_accuracy,
                exit.ece,
                Some(exit.calibration_accuracy),
                Some(exit.calibration_loss),
                exit.calibration_top5_accuracy,
                exit.calibration_ece,
            ]
        });
        for ((name, stored), here) in NAMES.into_iter().zip(stored).zip(here) {
            // An earlier version did not evaluate all of this, and what it did not is no difference.
            if stored.is_some() || NAMES.iter().position(|known| *known == name).is_some_and(|index| index % 4 < 2) {
                self.number(name, place, stored, here);
            }
        }
    }

    /// Points are paired within each policy, cheapest setting first: two results that are equal have them in the same order.
    fn points(&mut self, stored: &v1::JobDetail, here: &Outcome) {
        let stored = stored.operating_points.iter().map(|point| Point {
            policy: &point.policy,
            setting: point.setting,
            costs: [point.macs_cascade, point.macs_selected, point.calibration_macs_cascade],
            accuracies: [point.accuracy, point.calibration_accuracy],
            exit_shares: &point.exit_shares,
        });
        let here = here.operating_points.iter().map(|point| Point {
            policy: &point.policy,
            setting: point.setting,
            costs: [point.macs_cascade, point.macs_selected, point.calibration_macs_cascade],
            accuracies: [point.accuracy, point.calibration_accuracy],
            exit_shares: &point.exit_shares,
        });
        let (stored, here) = (in_order(stored), in_order(here));
        let mut policies: Vec<&str> = stored.iter().chain(&here).map(|point| point.policy).collect();
        policies.sort_unstable();
        policies.dedup();
        for policy in policies {
            let (stored, here) = (of_policy(&stored, policy), of_policy(&here, policy));
            for index in 0..stored.len().max(here.len()) {
                let (stored, here) = (stored.get(index).cloned(), here.get(index).cloned());
                let n_numbers = stored.as_ref().map_or(0, Vec::len).max(here.as_ref().map_or(0, Vec::len));
                for number in 0..n_numbers {
                    let of = |numbers: &Option<Vec<f64>>| numbers.as_ref().and_then(|numbers| numbers.get(number)).copied();
                    let place = format!("{policy}, point {}: {}", index + 1, Point::name(number));
                    self.number(&format!("points of {policy}"), &place, of(&stored), of(&here));
                }
            }
        }
    }

    fn count(&mut self, what: &str, place: &str, stored: usize, here: usize) {
        self.number(what, place, Some(stored as f64), Some(here as f64));
    }

    fn number(&mut self, what: &str, place: &str, stored: Option<f64>, here: Option<f64>) {
        let index = self.kinds.iter().position(|kind| kind.what == what).unwrap_or_else(|| {
            self.kinds.push(Kind { what: what.to_owned(), n_compared: 0, n_equal: 0, n_different: 0, largest_difference: None });
            self.kinds.len() - 1
        });
        let kind = &mut self.kinds[index];
        kind.n_compared += 1;
        if stored.map(f64::to_bits) == here.map(f64::to_bits) {
            kind.n_equal += 1;
            return;
        }
        kind.n_different += 1;
        let difference = stored.zip(here).map(|(stored, here)| (stored - here).abs());
        if let Some(difference) = difference {
            kind.largest_difference = Some(kind.largest_difference.map_or(difference, |largest| largest.max(difference)));
        }
        self.differences.push(Difference { what: what.to_owned(), place: place.to_owned(), stored, here, difference });
    }
}

/// What of an operating point depends on no clock.
#[derive(Debug, Clone)]
struct Point<'a> {
    policy: &'a str,
    setting: f64,
    costs: [f64; 3],
    accuracies: [f64; 2],
    exit_shares: &'a [f64],
}

impl Point<'_> {
    fn numbers(&self) -> Vec<f64> {
        let before = std::iter::once(self.setting).chain(self.costs).chain(self.accuracies);
        before.chain(self.exit_shares.iter().copied()).collect()
    }

    /// What the number at a place of [`Self::numbers`] is.
    fn name(place: usize) -> String {
        const BEFORE: [&str; 6] =
            ["setting", "MACs (cascade)", "MACs (selected)", "MACs (calibration split)", "accuracy", "accuracy (calibration split)"];
        BEFORE.get(place).map_or_else(|| format!("share of exit {}", place - BEFORE.len()), |name| (*name).to_owned())
    }
}

/// The numbers of each point of a policy.
fn of_policy(points: &[Point<'_>], policy: &str) -> Vec<Vec<f64>> {
    points.iter().filter(|point| point.policy == policy).map(Point::numbers).collect()
}

fn in_order<'a>(points: impl Iterator<Item = Point<'a>>) -> Vec<Point<'a>> {
    let mut points: Vec<Point<'a>> = points.collect();
    let numbers = |a: &Point<'_>, b: &Point<'_>| {
        let pairs = a.numbers().into_iter().zip(b.numbers());
        pairs.map(|(a, b)| a.total_cmp(&b)).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    };
    points.sort_by(|a, b| a.policy.cmp(b.policy).then_with(|| numbers(a, b)));
    points
}

#[cfg(test)]
mod tests {
    use offramp_domain::outcome::{ExitResult, OperatingPoint};

    use super::*;

    fn outcome() -> Outcome {
        let exit = ExitResult {
            accuracy: 0.5,
            loss: 1.25,
            calibration_accuracy: 0.75,
            calibration_loss: 1.5,
            top5_accuracy: Some(0.9),
            ece: Some(0.1),
            calibration_top5_accuracy: Some(0.8),
            calibration_ece: Some(0.2),
        };
        let point = |policy: &str, setting: f64| OperatingPoint {
            policy: policy.into(),
            setting,
            macs_cascade: 100.0,
            macs_selected: 90.0,
            accuracy: 0.5,
            calibration_accuracy: 0.75,
            calibration_macs_cascade: 99.0,
            exit_shares: vec![0.25, 0.75],
            latency_us: Some(3.0),
            images_per_second: Some(5.0),
        };
        Outcome {
            exits: vec![exit; 2],
            operating_points: vec![point("fixed", 1.0), point("fixed", 0.0), point("entropy", 0.5)],
            n_train: 80,
            n_calibration: 10,
            n_test: 20,
            train_seconds: 1.0,
            trainer: "simulated".into(),
            records: None,
        }
    }

    /// The same as a database would have it, in another order and with other times.
    fn stored() -> v1::JobDetail {
        let outcome = outcome();
        let exit = |exit: &ExitResult| v1::ExitRow {
            accuracy: exit.accuracy,
            loss: exit.loss,
            calibration_accuracy: exit.calibration_accuracy,
            calibration_loss: exit.calibration_loss,
            top5_accuracy: exit.top5_accuracy,
            ece: exit.ece,
            calibration_top5_accuracy: exit.calibration_top5_accuracy,
            calibration_ece: exit.calibration_ece,
            n_test: 20,
            n_calibration: 10,
            ..Default::default()
        };
        let point = |point: &OperatingPoint| v1::OperatingPointRow {
            policy: point.policy.clone(),
            setting: point.setting,
            macs_cascade: point.macs_cascade,
            macs_selected: point.macs_selected,
            accuracy: point.accuracy,
            calibration_accuracy: point.calibration_accuracy,
            calibration_macs_cascade: point.calibration_macs_cascade,
            exit_shares: point.exit_shares.clone(),
            latency_us: Some(7.0),
            images_per_second: None,
            ..Default::default()
        };
        v1::JobDetail {
            exits: outcome.exits.iter().map(exit).collect(),
            operating_points: outcome.operating_points.iter().rev().map(point).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn equal_results_are_equal_whatever_the_clock_said() {
        let compared = Compared::new(&stored(), &outcome());
        assert_eq!(compared.differences, []);
        assert!(compared.is_equal());
        // Two counts, two numbers of images and eight of quality for each exit, and for each point a setting, three costs, two accuracies, two shares.
        assert_eq!(compared.n_compared(), 2 + 2 * (2 + 8) + 3 * 8);
        assert!(compared.kinds.iter().all(|kind| kind.n_equal == kind.n_compared && kind.largest_difference.is_none()));
    }

    #[test]
    fn the_last_bit_is_a_difference_and_the_largest_comes_first() {
        let mut here = outcome();
        here.exits[1].loss = f64::from_bits(here.exits[1].loss.to_bits() + 1);
        here.operating_points[2].exit_shares[0] = 0.5;
        let compared = Compared::new(&stored(), &here);
        assert!(!compared.is_equal());
        let told: Vec<_> = compared.differences.iter().map(|found| (found.what.as_str(), found.place.as_str(), found.difference)).collect();
        assert_eq!(told, [("points of entropy", "entropy, point 1: share of exit 0", Some(0.25)), ("loss", "exit 1", Some(f64::EPSILON)),]);
        let losses = compared.kinds.iter().find(|kind| kind.what == "loss").unwrap();
        assert_eq!((losses.n_compared, losses.n_equal, losses.n_different), (2, 1, 1));
    }

    #[test]
    fn what_only_one_of_them_has_is_a_difference_above_all() {
        let mut here = outcome();
        here.operating_points.remove(1);
        here.exits[0].ece = None;
        let compared = Compared::new(&stored(), &here);
        let first = &compared.differences[0];
        assert_eq!((first.difference, first.here.is_none()), (None, true));
        let points = compared.differences.iter().find(|difference| difference.what == "operating points").unwrap();
        assert_eq!((points.stored, points.here), (Some(3.0), Some(2.0)));
        // What an earlier version did not evaluate is nothing to compare with.
        let mut old = stored();
        old.exits.iter_mut().for_each(|exit| exit.ece = None);
        assert!(Compared::new(&old, &outcome()).is_equal());
        assert!(!Compared::default().is_equal(), "nothing compared is nothing reproduced");
    }
}
