//! What differs between two sweeps: their files, their jobs, their results.

use std::collections::HashMap;

use offramp_domain::compare::{Factor, compare};
use offramp_domain::lifecycle::State;
use offramp_domain::sweep::{Difference, differences};
use offramp_proto::v1;

use super::cells::{Chosen, StoredCell};
use super::question::Question;
use super::{ComparisonError, answer, at_work};
use crate::store::read::Reader;

/// Most cells that are listed; the jobs of all are counted.
const MOST_CELLS: usize = 1_000;

impl Reader {
    /// Says what differs between two sweeps.
    ///
    /// # Errors
    /// As [`Self::compare`].
    pub async fn diff_sweeps(&self, request: &v1::DiffSweepsRequest) -> Result<v1::DiffSweepsResponse, ComparisonError> {
        let question = Question::of_sweeps(request)?;
        question.options.check(Factor::Sweep)?;
        let (a, b) = (self.sweep(&request.a).await?, self.sweep(&request.b).await?);
        if a.sweep == b.sweep {
            return Err(ComparisonError::SameSweep(a.name));
        }
        let differences = differences(&self.sweep_file(a.sweep).await?.text, &self.sweep_file(b.sweep).await?.text)?;
        let sweeps = Chosen::label(vec![a.clone(), b.clone()]);
        let cells = self.stored_cells(&sweeps, &question, true).await?;
        at_work(move || {
            let Jobs { cells: listed, n_both, n_only_a, n_only_b, more } = jobs(&cells, &sweeps[0].label);
            let cells: Vec<_> = cells.into_iter().map(|stored| stored.cell).collect();
            let comparison = compare(&cells, Factor::Sweep, &question.options)?;
            Ok(v1::DiffSweepsResponse {
                a: Some(a),
                b: Some(b),
                differences: differences.into_iter().map(said).collect(),
                more,
                cells: listed,
                n_both,
                n_only_a,
                n_only_b,
                comparison: Some(answer::comparison(&comparison, question.options.bootstrap.n_resamples)),
            })
        })
        .await
    }
}

fn said(Difference { place, first, second }: Difference) -> v1::SweepDifferenceRow {
    v1::SweepDifferenceRow { place, a: first, b: second }
}

/// Jobs that one of the two has alone, by cell, A's first.
struct Jobs {
    cells: Vec<v1::SweepCellDifferenceRow>,
    n_both: u32,
    n_only_a: u32,
    n_only_b: u32,
    /// Whether some cells are not listed.
    more: bool,
}

fn jobs(cells: &[StoredCell], a: &str) -> Jobs {
    let mut in_sweeps: HashMap<&str, (bool, bool)> = HashMap::new();
    for stored in cells {
        for run in &stored.cell.runs {
            let place = in_sweeps.entry(run.job.as_str()).or_default();
            if stored.cell.sweep == a { place.0 = true } else { place.1 = true }
        }
    }
    let mut jobs = Jobs { cells: Vec::new(), n_both: 0, n_only_a: 0, n_only_b: 0, more: false };
    // Cells of A stand before those of B, as they were read.
    for stored in cells {
        let is_of_a = stored.cell.sweep == a;
        let mut row = row(stored, if is_of_a { "a" } else { "b" });
        for (run, state) in stored.cell.runs.iter().zip(&stored.states) {
            if in_sweeps[run.job.as_str()] == (true, true) {
                jobs.n_both += u32::from(is_of_a);
                continue;
            }
            row.n_jobs += 1;
            row.n_succeeded += u32::from(state == State::Succeeded.as_str());
            row.seeds.push(run.seed);
            row.jobs.push(run.job.clone());
        }
        *(if is_of_a { &mut jobs.n_only_a } else { &mut jobs.n_only_b }) += row.n_jobs;
        if row.n_jobs > 0 && jobs.cells.len() < MOST_CELLS {
            jobs.cells.push(row);
        } else {
            jobs.more |= row.n_jobs > 0;
        }
    }
    jobs
}

fn row(stored: &StoredCell, only_in: &str) -> v1::SweepCellDifferenceRow {
    let config = &stored.cell.config;
    v1::SweepCellDifferenceRow {
        only_in: only_in.to_owned(),
        backbone: config.backbone.clone(),
        dataset: config.dataset.clone(),
        exits: config.exits_label(),
        budget: config.budget_label(),
        pattern: config.pattern_label(),
        recipe: config.recipe_label(),
        ..Default::default()
    }
}
