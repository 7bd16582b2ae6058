//! Follows a sweep until it is finished, and shows it meanwhile.

use std::collections::HashSet;
use std::time::Duration;

use offramp_proto::v1;

use crate::client::Client;
use crate::environment::Stopwatch;
use crate::failure::Failure;
use crate::progress::{Progress, n_final};

/// Sweeps with more jobs than this are shown as counts alone: a line a job would tell nobody anything.
const MOST_JOBS_TOLD: i64 = 2_000;
/// How often the list of jobs is read to tell which ones ended.
const LIST_INTERVAL: Duration = Duration::from_secs(1);

/// Follows a sweep until it is finished, and returns its last status. Dropping the future stops it.
///
/// # Errors
/// When the coordinator refuses, or goes away before the sweep is finished.
pub(crate) async fn follow(client: &mut Client, sweep: &str, progress: &mut Progress) -> Result<v1::SweepStatus, Failure> {
    let stopwatch = Stopwatch::start();
    let mut ended = Ended::default();
    let mut updates = client.watch(sweep).await?;
    let mut last = None;
    while let Some(status) = updates.message().await.map_err(|status| client.refused(&status))? {
        progress.update(&status, stopwatch.elapsed());
        if let Some(row) = &status.sweep {
            ended.tell(client, row, progress, stopwatch.elapsed()).await?;
        }
        last = Some(status);
    }
    let status = match last {
        Some(status) if status.sweep.as_ref().is_some_and(is_finished) => status,
        // The stream ended early, as it does when the coordinator stops.
        _ => return Err(client.refused(&tonic::Status::unavailable("the stream of updates ended"))),
    };
    if let Some(row) = &status.sweep {
        ended.next_list = Duration::ZERO;
        ended.tell(client, row, progress, stopwatch.elapsed()).await?;
    }
    progress.clear();
    Ok(status)
}

/// Whether every job of the sweep has come to an end.
pub(crate) fn is_finished(sweep: &v1::SweepRow) -> bool {
    sweep.state == "finished"
}

/// Which jobs have been told of.
#[derive(Debug, Default)]
struct Ended {
    /// Their ids; absent until the first look, whose jobs are old news.
    told: Option<HashSet<String>>,
    next_list: Duration,
}

impl Ended {
    async fn tell(&mut self, client: &mut Client, sweep: &v1::SweepRow, progress: &mut Progress, now: Duration) -> Result<(), Failure> {
        let n_told = self.told.as_ref().map(HashSet::len);
        if sweep.n_jobs > MOST_JOBS_TOLD || now < self.next_list || n_told == usize::try_from(n_final(sweep)).ok() {
            return Ok(());
        }
        self.next_list = now + LIST_INTERVAL;
        let request = v1::ListJobsRequest { sweep: sweep.sweep.to_string(), limit: MOST_JOBS_TOLD as u32, ..Default::default() };
        let mut jobs = client.jobs(request).await?;
        jobs.retain(|job| job.finished_us.is_some());
        jobs.sort_by_key(|job| job.finished_us);
        let Some(told) = &mut self.told else {
            self.told = Some(jobs.into_iter().map(|job| job.job).collect());
            return Ok(());
        };
        for job in jobs {
            if !told.contains(&job.job) {
                told.insert(job.job.clone());
                progress.job_ended(&job, told.len() as i64, sweep.n_jobs);
            }
        }
        Ok(())
    }
}
