//! Depth and width of every branch together.

use super::budget::{Goal, Ledger};
use super::{LINEAR, Size, cost, width};

/// Most convolutions of a branch: beyond, it is as deep as the stages of small backbones.
const DEEPEST: usize = 4;

/// Combinations looked at: 8 sizes at each of five exits, 5 at each of six, and less than a millisecond.
const MAX_COMBINATIONS: usize = 1 << 15;

/// One way to build a branch, beside its share.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    size: Size,
    charge: f64,
    /// How far from what the pattern has spent on it, as a part of that.
    miss: f64,
    params: u64,
}

/// Branches, each of a depth of its own, whose total is nearest to the goal; counted in full they are to come to `total`.
///
/// For every exit and depth the two widths around the exit's share are candidates, or the linear classifier where the share pays for nothing
/// else. Of all combinations the one is taken that comes nearest to the budget; of equally near ones that with the smallest sum of the exits'
/// relative errors, then that with the fewest parameters. Where there are too many exits for all combinations, each has only those candidates
/// that come nearest to its share. What then misses the budget is repaired as in [`width`].
pub(super) fn sizes(goal: &Goal, ledger: Ledger<'_>, shares: &[f64], total: f64) -> Vec<Size> {
    let n_each = (1..=2 * DEEPEST).rev().find(|n| fits(*n, shares.len())).unwrap_or(1);
    let candidates = |(exit, share): (usize, &f64)| {
        let mut candidates = candidates(ledger, exit, share * total + ledger.replaced());
        candidates.sort_by(|a, b| a.miss.total_cmp(&b.miss).then(a.params.cmp(&b.params)));
        candidates.truncate(n_each);
        candidates
    };
    let candidates: Vec<Vec<Candidate>> = shares.iter().enumerate().map(candidates).collect();
    let mut search = Search { goal, candidates: &candidates, chosen: vec![0; shares.len()], best: None };
    search.descend(0, Sums { charge: -ledger.replaced(), miss: 0.0, params: 0 });
    let (_, chosen) = search.best.expect("every exit has a candidate");
    let mut sizes: Vec<Size> = chosen.iter().zip(&candidates).map(|(index, of_exit)| of_exit[*index].size).collect();
    if !goal.is_met(ledger.total(&sizes)) {
        width::repair(goal, ledger, &mut sizes);
    }
    sizes
}

fn fits(n_each: usize, n_exits: usize) -> bool {
    u32::try_from(n_exits).ok().and_then(|n_exits| n_each.checked_pow(n_exits)).is_some_and(|n| n <= MAX_COMBINATIONS)
}

/// The sizes around a share.
fn candidates(ledger: Ledger<'_>, exit: usize, to_spend: f64) -> Vec<Candidate> {
    let candidate = |size: Size| {
        let miss = if to_spend > 0.0 { (ledger.full(exit, size) - to_spend).abs() / to_spend } else { 0.0 };
        let params = cost(ledger.site.points[exit], size, ledger.site.n_classes).params;
        Candidate { size, charge: ledger.charge(exit, size), miss, params }
    };
    let pays = |depth: &usize| to_spend >= ledger.full(exit, Size { depth: *depth, width: 1, shrinks: true });
    let around = |depth: usize| {
        let narrower = (width::width(ledger, exit, to_spend, depth).floor() as usize).max(1);
        [narrower, narrower + 1].map(|width| candidate(Size { depth, width, shrinks: true }))
    };
    let found: Vec<Candidate> = (1..=DEEPEST).filter(pays).flat_map(around).collect();
    if found.is_empty() { vec![candidate(LINEAR)] } else { found }
}

/// What some exits' candidates come to.
#[derive(Debug, Clone, Copy)]
struct Sums {
    charge: f64,
    miss: f64,
    params: u64,
}

/// Goes through all combinations, the last exit fastest.
struct Search<'a> {
    goal: &'a Goal,
    candidates: &'a [Vec<Candidate>],
    /// Of each exit, the candidate's index.
    chosen: Vec<usize>,
    best: Option<(Sums, Vec<usize>)>,
}

impl Search<'_> {
    fn descend(&mut self, exit: usize, so_far: Sums) {
        let candidates = self.candidates;
        let Some(of_exit) = candidates.get(exit) else { return self.consider(so_far) };
        for (index, candidate) in of_exit.iter().enumerate() {
            self.chosen[exit] = index;
            let charge = so_far.charge + candidate.charge;
            self.descend(exit + 1, Sums { charge, miss: so_far.miss + candidate.miss, params: so_far.params + candidate.params });
        }
    }

    fn consider(&mut self, sums: Sums) {
        let off = |sums: &Sums| self.goal.miss(sums.charge);
        let is_better = |best: &Sums| {
            off(&sums).total_cmp(&off(best)).then(sums.miss.total_cmp(&best.miss)).then(sums.params.cmp(&best.params)).is_lt()
        };
        if self.best.as_ref().is_none_or(|(best, _)| is_better(best)) {
            self.best = Some((sums, self.chosen.clone()));
        }
    }
}
