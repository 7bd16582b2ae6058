//! What differs between two sweeps: their files, their jobs, their results.

use std::collections::HashMap;

use offramp_domain::compare::{Factor, compare};
use offramp_domain::sweep::{Difference, differences};
use offramp_proto::v1;

use super::cells::{Chosen, StoredCell};
use super::question::Question;
use super::{ComparisonError, answer, at_work};
use crate::store::read::Reader;

/// Most jobs that are listed; beyond them, they are counted.
const MOST_LISTED: usize = 1_000;

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
            let Jobs { listed, n_both, n_only_a, n_only_b } = jobs(&cells, &sweeps[0].label);
            let cells: Vec<_> = cells.into_iter().map(|stored| stored.cell).collect();
            let comparison = compare(&cells, Factor::Sweep, &question.options)?;
            Ok(v1::DiffSweepsResponse {
                a: Some(a),
                b: Some(b),
                differences: differences.into_iter().map(said).collect(),
                more: listed.len() < (n_only_a + n_only_b) as usize,
                jobs: listed,
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

/// Jobs that one of the two has alone, A's first.
struct Jobs {
    listed: Vec<v1::SweepJobDifferenceRow>,
    n_both: u32,
    n_only_a: u32,
    n_only_b: u32,
}

fn jobs(cells: &[StoredCell], a: &str) -> Jobs {
    // Ids are of their twelve digits, as everywhere that people see them.
    let mut in_sweeps: HashMap<&str, (bool, bool)> = HashMap::new();
    for stored in cells {
        for run in &stored.cell.runs {
            let place = in_sweeps.entry(run.job.as_str()).or_default();
            if stored.cell.sweep == a { place.0 = true } else { place.1 = true }
        }
    }
    let (mut jobs, mut only_b) = (Jobs { listed: Vec::new(), n_both: 0, n_only_a: 0, n_only_b: 0 }, Vec::new());
    for stored in cells {
        let config = &stored.cell.config;
        for (run, state) in stored.cell.runs.iter().zip(&stored.states) {
            let is_of_a = stored.cell.sweep == a;
            if in_sweeps[run.job.as_str()] == (true, true) {
                jobs.n_both += u32::from(is_of_a);
                continue;
            }
            let (n, list) = if is_of_a { (&mut jobs.n_only_a, &mut jobs.listed) } else { (&mut jobs.n_only_b, &mut only_b) };
            *n += 1;
            if list.len() < MOST_LISTED / 2 {
                list.push(v1::SweepJobDifferenceRow {
                    only_in: if is_of_a { "a" } else { "b" }.to_owned(),
                    job: run.job.clone(),
                    state: state.clone(),
                    backbone: config.backbone.clone(),
                    dataset: config.dataset.clone(),
                    pattern: config.pattern_label(),
                    exits: config.exits_label(),
                    budget: config.budget_label(),
                    recipe: config.recipe_label(),
                    seed: run.seed,
                });
            }
        }
    }
    jobs.listed.append(&mut only_b);
    jobs
}
