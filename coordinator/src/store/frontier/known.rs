//! What a coordinator remembers of frontiers, so that nearly all points are turned away without a look at the database.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use offramp_domain::frontier::{self, Point};

use super::Group;

/// Points that stood on frontiers a moment ago. Frontiers get better except where results are removed: what such a point dominates has no place on
/// its frontier, whatever has happened since, until something is removed. Then all of it is forgotten.
///
/// Nothing is read for the sake of this: it is what transactions come across.
#[derive(Debug, Default)]
pub(in crate::store) struct Known {
    frontiers: Mutex<Frontiers>,
}

#[derive(Debug, Default)]
struct Frontiers {
    /// Removals until then, as the database counts them.
    n_removals: i64,
    seen: HashMap<Group, Seen>,
}

/// A frontier as far as it was seen.
#[derive(Debug, Clone)]
struct Seen {
    id: i64,
    since_us: i64,
    /// Points of it, none of which dominates another, cheapest first.
    points: Vec<Point>,
}

/// For how long a frontier is known, microseconds. A server that is replaced by one which lags behind takes longer, and may have lost what was seen.
const KNOWN_FOR_US: i64 = 1_000_000;
/// Frontiers that are known at once, and points of one: a few megabytes in all.
const KNOWN_MOST: usize = 2_048;
const KNOWN_POINTS_MOST: usize = 256;

impl Known {
    /// Makes way for what is true after so many removals.
    pub(super) fn heed(&self, n_removals: i64) {
        let mut frontiers = self.frontiers();
        if frontiers.n_removals != n_removals {
            *frontiers = Frontiers { n_removals, seen: HashMap::new() };
        }
    }

    /// The number of a frontier that was seen a moment ago.
    pub(super) fn id(&self, group: &Group, now_us: i64) -> Option<i64> {
        self.frontiers().get(group, now_us).map(|seen| seen.id)
    }

    /// Keeps of `indices`, which are of `points`, those that nothing known dominates.
    pub(super) fn filter(&self, group: &Group, points: impl Fn(usize) -> Point, indices: &mut Vec<usize>, now_us: i64) {
        if let Some(seen) = self.frontiers().get(group, now_us) {
            indices.retain(|&index| !seen.dominates(points(index)));
        }
    }

    /// Remembers points that stand on a frontier, as committed transactions left it.
    pub(super) fn remember(&self, group: &Group, id: i64, points: &[Point], n_removals: i64, now_us: i64) {
        let mut frontiers = self.frontiers();
        if frontiers.n_removals != n_removals {
            return;
        }
        if frontiers.seen.len() >= KNOWN_MOST && !frontiers.seen.contains_key(group) {
            frontiers.seen.clear();
        }
        let new = Seen { id, since_us: now_us, points: Vec::new() };
        let seen = match frontiers.get(group, now_us) {
            Some(seen) => seen.clone(),
            None => new,
        };
        let all: Vec<Point> = seen.points.iter().chain(points).copied().collect();
        let mut kept: Vec<Point> = frontier::non_dominated(&all).into_iter().map(|index| all[index]).collect();
        kept.dedup();
        // Some of them, evenly: each is as true as before.
        let every = kept.len().div_ceil(KNOWN_POINTS_MOST).max(1);
        let points = kept.into_iter().step_by(every).collect();
        frontiers.seen.insert(group.clone(), Seen { points, ..seen });
    }

    fn frontiers(&self) -> MutexGuard<'_, Frontiers> {
        // Each critical section leaves it whole.
        self.frontiers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Frontiers {
    fn get(&self, group: &Group, now_us: i64) -> Option<&Seen> {
        self.seen.get(group).filter(|seen| (seen.since_us..seen.since_us + KNOWN_FOR_US).contains(&now_us))
    }
}

impl Seen {
    fn dominates(&self, point: Point) -> bool {
        // The last one that costs no more is the most accurate of those.
        let n_affordable = self.points.partition_point(|known| known.cost <= point.cost);
        n_affordable.checked_sub(1).is_some_and(|last| self.points[last].dominates(point))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CostMetric, Grouping};
    use super::*;

    const NOW_US: i64 = 1_700_000_000_000_000;

    fn group(sweep: i64) -> Group {
        let nothing = String::new;
        Group {
            sweep,
            grouping: Grouping::Dataset,
            dataset: "digits".into(),
            backbone: nothing(),
            pattern: nothing(),
            trainer: nothing(),
            metric: CostMetric::MacsCascade,
        }
    }

    fn points(points: &[(f64, f64)]) -> Vec<Point> {
        points.iter().map(|&(cost, accuracy)| Point { cost, accuracy }).collect()
    }

    fn lets_in(known: &Known, sweep: i64, point: (f64, f64), now_us: i64) -> bool {
        let mut indices = vec![0];
        known.filter(&group(sweep), |index| points(&[point])[index], &mut indices, now_us);
        !indices.is_empty()
    }

    #[test]
    fn what_was_seen_keeps_off_what_it_dominates_and_nothing_else() {
        let known = Known::default();
        known.remember(&group(1), 7, &points(&[(200.0, 0.75), (100.0, 0.5)]), 0, NOW_US);
        for (cost, accuracy, enters) in
            [(150.0, 0.5, false), (100.0, 0.25, false), (100.0, 0.5, true), (50.0, 0.25, true), (150.0, 0.625, true), (300.0, 0.875, true)]
        {
            assert_eq!(lets_in(&known, 1, (cost, accuracy), NOW_US), enters, "cost {cost}, accuracy {accuracy}");
        }
        // What is learnt later adds to it, and what it dominates goes.
        known.remember(&group(1), 7, &points(&[(100.0, 0.8)]), 0, NOW_US);
        assert!(!lets_in(&known, 1, (200.0, 0.75), NOW_US));
        assert_eq!(known.frontiers().seen[&group(1)].points, points(&[(100.0, 0.8)]));
    }

    #[test]
    fn what_was_seen_is_forgotten_after_a_moment_and_with_a_removal() {
        let known = Known::default();
        let remembers = |sweep, now_us| known.id(&group(sweep), now_us) == Some(7) && !lets_in(&known, sweep, (2.0, 0.5), now_us);
        assert!(!remembers(1, NOW_US));
        known.remember(&group(1), 7, &points(&[(1.0, 0.5)]), 0, NOW_US);
        assert!(remembers(1, NOW_US) && remembers(1, NOW_US + KNOWN_FOR_US - 1));
        assert!(!remembers(1, NOW_US + KNOWN_FOR_US) && !remembers(1, NOW_US - 1), "too old, and the clock was set back");
        assert!(!remembers(2, NOW_US));
        known.heed(0);
        assert!(remembers(1, NOW_US));
        known.heed(1);
        assert!(!remembers(1, NOW_US));
        known.remember(&group(1), 7, &points(&[(1.0, 0.5)]), 0, NOW_US);
        assert!(!remembers(1, NOW_US), "seen before the removal");
    }

    #[test]
    fn not_more_is_known_than_fits() {
        let known = Known::default();
        for sweep in 0..2 * KNOWN_MOST as i64 {
            known.remember(&group(sweep), 7, &[], 0, NOW_US);
        }
        assert!(known.frontiers().seen.len() <= KNOWN_MOST);
        let many: Vec<(f64, f64)> = (0..1_000_i32).map(|i| (f64::from(i), f64::from(i) / 1_000.0)).collect();
        known.remember(&group(1), 7, &points(&many), 0, NOW_US);
        let kept = known.frontiers().seen[&group(1)].points.clone();
        assert!((KNOWN_POINTS_MOST / 2..=KNOWN_POINTS_MOST).contains(&kept.len()) && kept.is_sorted_by(|a, b| a.cost < b.cost));
    }
}
