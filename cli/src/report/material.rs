//! What a report is made of, read once and then left alone.

use std::collections::HashMap;

use offramp_coordinator::store::{CostMetric, Grouping};
use offramp_proto::v1;

use crate::failure::Failure;
use crate::report::cells::{CellKey, key};
use crate::source::{Frontiers, Source};

/// Most jobs of a sweep that a report is about; a page of more is no page.
const MOST_JOBS: usize = 20_000;
/// Jobs asked for at once.
const PAGE: u32 = 5_000;
/// Most jobs whose history is read: attempts, epochs, operating points.
const MOST_DETAILS: usize = 400;
/// Of these, most jobs that ended without a result.
const MOST_FAILED_DETAILS: usize = 100;
/// Most sessions that are looked through for the workers' devices and versions.
const MOST_SESSIONS: u32 = 1_000;

/// All that a report says something about.
#[derive(Debug)]
pub(crate) struct Material {
    /// The sweep.
    pub(crate) sweep: v1::SweepRow,
    /// Its file.
    pub(super) file: v1::SweepFile,
    /// Its jobs, in its order, as many as a report is about.
    pub(super) jobs: Vec<v1::JobRow>,
    /// The whole story of jobs by their ids: of all, or of as many of each cell as is reasonable.
    pub(super) details: HashMap<String, v1::JobDetail>,
    /// Exits of finished jobs.
    pub(super) exits: Vec<v1::ExitRow>,
    /// The frontier, every branch on the way paid.
    pub(super) frontier: Vec<v1::FrontierRow>,
    /// Sessions of workers, newest first.
    pub(super) workers: Vec<v1::WorkerRow>,
}

impl Material {
    /// Reads it.
    ///
    /// # Errors
    /// When there is no such sweep, or the source fails.
    pub(crate) async fn gather(source: &Source, sweep: &str) -> Result<Self, Failure> {
        let status = source.sweep(sweep).await?;
        let sweep = status.sweep.ok_or_else(|| Failure::new(anyhow::anyhow!("the coordinator's answer has no sweep")))?;
        // By its id from here on: another of the same name may be submitted in between.
        let selector = sweep.sweep.to_string();
        let file = source.sweep_file(&selector).await?;
        let jobs = jobs(source, &selector).await?;
        let mut details = HashMap::new();
        for job in chosen(&jobs) {
            details.insert(job.clone(), source.job(&job).await?);
        }
        let exits = source.results(&selector).await?.exits;
        let asked = Frontiers { sweep: Some(&selector), grouping: Grouping::Dataset, metric: CostMetric::MacsCascade };
        let frontier = source.frontier(&asked).await?.points;
        let workers = source.workers(true, MOST_SESSIONS).await?;
        Ok(Self { sweep, file, jobs, details, exits, frontier, workers })
    }

    /// Whether a job has a result.
    pub(crate) fn has_results(&self) -> bool {
        self.sweep.n_succeeded > 0
    }

    /// The stories that were read, in the jobs' order.
    pub(super) fn stories(&self) -> impl Iterator<Item = (&v1::JobRow, &v1::JobDetail)> {
        self.jobs.iter().filter_map(|job| Some((job, self.details.get(&job.job)?)))
    }

    /// Whether every job's story was read.
    pub(super) fn is_whole(&self) -> bool {
        self.details.len() as i64 == self.sweep.n_jobs
    }

    /// What has to be said where only some stories were read.
    pub(super) fn told_of(&self) -> Option<String> {
        (!self.is_whole()).then(|| format!("Of {} of the {} jobs: the first seeds of every cell.", self.details.len(), self.sweep.n_jobs))
    }

    /// When something last happened to the sweep, unix microseconds. A report has no other clock.
    pub(super) fn newest_us(&self) -> i64 {
        let finished = self.jobs.iter().filter_map(|job| job.finished_us);
        let events = self.stories().flat_map(|(_, detail)| detail.events.iter().map(|event| event.at_us));
        finished.chain(events).fold(self.sweep.created_us, i64::max)
    }
}

async fn jobs(source: &Source, sweep: &str) -> Result<Vec<v1::JobRow>, Failure> {
    let mut jobs = Vec::new();
    loop {
        let request = v1::ListJobsRequest { sweep: sweep.to_owned(), limit: PAGE, offset: jobs.len() as u64, ..Default::default() };
        let page = source.jobs(request).await?;
        let is_last = page.len() < PAGE as usize;
        jobs.extend(page);
        if is_last || jobs.len() >= MOST_JOBS {
            jobs.truncate(MOST_JOBS);
            return Ok(jobs);
        }
    }
}

/// Jobs whose story is read: those that went wrong, then the first of every cell, the second of every cell, and so on.
fn chosen(jobs: &[v1::JobRow]) -> Vec<String> {
    let went_wrong = |job: &&v1::JobRow| matches!(job.state.as_str(), "failed" | "diverged" | "quarantined");
    let mut chosen: Vec<&v1::JobRow> = jobs.iter().filter(went_wrong).take(MOST_FAILED_DETAILS).collect();
    let mut n_of_cell: HashMap<CellKey, usize> = HashMap::new();
    let mut others: Vec<(usize, &v1::JobRow)> = Vec::new();
    for job in jobs.iter().filter(|job| !went_wrong(job)) {
        let n = n_of_cell.entry(key(job)).or_default();
        others.push((*n, job));
        *n += 1;
    }
    others.sort_by_key(|(n, _)| *n);
    chosen.extend(others.into_iter().map(|(_, job)| job));
    chosen.into_iter().take(MOST_DETAILS).map(|job| job.job.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_jobs_every_cell_has_its_say() {
        let job = |state: &str, pattern: usize, seed: u64| v1::JobRow {
            job: format!("{pattern}-{seed}"),
            state: state.into(),
            pattern: pattern.to_string(),
            seed,
            ..v1::JobRow::default()
        };
        let mut jobs: Vec<v1::JobRow> = (0..300)
            .flat_map(|pattern| (0..3).map(move |seed| (pattern, seed)))
            .map(|(pattern, seed)| job("succeeded", pattern, seed))
            .collect();
        jobs.push(job("failed", 0, 3));
        let chosen = chosen(&jobs);
        assert_eq!(chosen.len(), MOST_DETAILS);
        assert_eq!(chosen[0], "0-3");
        assert_eq!(chosen[1..=300], (0..300).map(|pattern| format!("{pattern}-0")).collect::<Vec<_>>());
        assert_eq!(chosen[301], "0-1");
    }
}
