//! What a reader of a comparison should know, in words.

use super::{Comparison, Unit};
use crate::statistics::wilcoxon::smallest_p;

impl Comparison {
    /// What is missing or left out, one sentence each; none where every cell is in a pair and there are enough of them.
    pub fn notes(&self) -> Vec<String> {
        let left_out = &self.left_out;
        let mut notes = Vec::new();
        if left_out.n_without_result > 0 {
            let n_incomplete: usize = self.pairs.iter().map(|pair| pair.n_incomplete).sum();
            let jobs = count(left_out.n_without_result, "job has no result", "jobs have no result");
            notes.push(match n_incomplete {
                0 => jobs,
                _ => format!("{jobs}, which leaves {} incomplete", count(n_incomplete, "pair", "pairs")),
            });
        }
        if left_out.n_not_applicable > 0 {
            let cells = count(left_out.n_not_applicable, "cell is", "cells are");
            notes.push(format!("{cells} left out: {} means nothing there", self.factor.as_str()));
        }
        if left_out.n_unpaired > 0 {
            let cells = count(left_out.n_unpaired, "cell is", "cells are");
            notes.push(format!("{cells} in no pair: nothing with a result differs in {} alone", self.factor.as_str()));
        }
        if left_out.n_repeated > 0 {
            let results = count(left_out.n_repeated, "result repeats another", "results repeat others");
            notes.push(format!("{results} of the same cell and seed: their mean is taken"));
        }
        if left_out.n_same_job > 0 {
            notes.push(format!("{} left out: they are in both sweeps", count(left_out.n_same_job, "job is", "jobs are")));
        }
        if !left_out.differs_as_well.is_empty() {
            notes.push(format!("the sweeps differ as a whole in {}", left_out.differs_as_well.join(", ")));
        }
        let n_single = self.pairs.iter().filter(|pair| pair.n_pairs == 1).count();
        if n_single > 0 {
            let differences = count(n_single, "difference rests", "differences rest");
            notes.push(format!("{differences} on one pair, without an interval and a test: add seeds"));
        }
        let n_blocks = self.pairs.iter().map(|pair| pair.n_blocks).max().unwrap_or(0);
        if self.unit == Unit::Seed && n_blocks > 1 {
            notes.push(format!("pairs are seeds of up to {n_blocks} blocks, and tell of these blocks; the unit `block` asks about others"));
        }
        notes.extend(self.too_few_pairs());
        notes
    }

    /// Says so where even pairs that all lean to one side would not be evidence at the confidence asked for.
    fn too_few_pairs(&self) -> Option<String> {
        let alpha = 1.0 - self.confidence;
        let decisive = |pair: &&super::Pair| pair.wilcoxon.is_ok();
        let fewest = self.pairs.iter().filter(decisive).map(|pair| pair.wins + pair.losses).min()?;
        if smallest_p(fewest) <= alpha {
            return None;
        }
        // No more than the logarithm of the smallest double.
        let needed = (fewest..1_100).find(|n| smallest_p(*n) <= alpha)?;
        let unit = match self.unit {
            Unit::Seed => "seeds or blocks",
            Unit::Block => "blocks",
        };
        let pairs = count(fewest, "pair that differs", "pairs that differ");
        Some(format!("with {pairs} no p-value is below {}; {needed} can reach {:.2}: add {unit}", smallest_p(fewest), alpha))
    }
}

fn count(n: usize, one: &str, several: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { several })
}
