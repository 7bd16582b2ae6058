//! Follows a sweep until it is over, and shows it meanwhile.

use std::collections::HashSet;
use std::time::Duration;

use offramp_coordinator::BREAKER_NOTE;
use offramp_proto::v1;
use tonic::{Status, Streaming};

use crate::back_off::BackOff;
use crate::client::{Client, LONG_PATIENCE, is_away};
use crate::environment::Stopwatch;
use crate::failure::Failure;
use crate::output;
use crate::progress::{Progress, n_final};
use crate::text::escape_control;

/// Sweeps with more jobs than this are shown as counts alone: a line a job would tell nobody anything.
const MOST_JOBS_TOLD: i64 = 2_000;
/// How often the list of jobs is read to tell which ones ended.
const LIST_INTERVAL: Duration = Duration::from_secs(1);

/// Where a sweep stands, for whoever waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    /// Jobs are handed out.
    Going,
    /// A person has paused it, and will go on with it some day.
    Paused,
    /// Too many of its jobs failed: somebody has to look.
    Broken,
    /// Nothing is left to do for it.
    Over,
}

impl Stand {
    /// Where a sweep stands.
    pub(crate) fn of(sweep: &v1::SweepRow) -> Self {
        match sweep.state.as_str() {
            "finished" | "cancelled" => Self::Over,
            // Of people, notes say `user@host`.
            "paused" if sweep.note.starts_with(BREAKER_NOTE) => Self::Broken,
            "paused" => Self::Paused,
            _ => Self::Going,
        }
    }
}

/// What a follower does when the circuit breaker has paused the sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenBroken {
    /// End at once.
    End,
    /// End when the jobs that run are over: what they come to is not thrown away.
    EndWhenIdle,
}

/// Follows a sweep until it is over or the circuit breaker has paused it, and returns its last status. Dropping the future stops it.
///
/// # Errors
/// When the coordinator refuses, or goes away for too long.
pub(crate) async fn follow(
    client: &Client,
    sweep: &str,
    when_broken: WhenBroken,
    progress: &mut Progress,
) -> Result<v1::SweepStatus, Failure> {
    let stopwatch = Stopwatch::start();
    let mut ended = Ended::default();
    let mut updates = Updates::new(client, sweep, LONG_PATIENCE);
    let mut told = Stand::Going;
    loop {
        let status = updates.next().await?;
        progress.update(&status, stopwatch.elapsed());
        let Some(row) = &status.sweep else { continue };
        let stand = Stand::of(row);
        let is_last = match stand {
            Stand::Over => true,
            Stand::Broken => when_broken == WhenBroken::End || row.n_leased == 0,
            Stand::Going | Stand::Paused => false,
        };
        if is_last {
            ended.next_list = Duration::ZERO;
        }
        ended.tell(client, row, progress, stopwatch.elapsed()).await?;
        if is_last {
            progress.clear();
            return Ok(status);
        }
        if std::mem::replace(&mut told, stand) != stand
            && let Some(news) = news(row, stand)
        {
            output::say(&news);
        }
    }
}

/// What is said when a sweep comes to stand so.
fn news(sweep: &v1::SweepRow, stand: Stand) -> Option<String> {
    let name = escape_control(&sweep.name);
    match stand {
        Stand::Paused => {
            let (state, id) = (state_text(sweep), sweep.sweep);
            Some(format!("sweep `{name}` is {state}; waiting until somebody goes on with it: `offramp sweep resume {id}`"))
        }
        Stand::Broken => Some(format!("sweep `{name}` is {}; waiting for the jobs that run", state_text(sweep))),
        Stand::Going | Stand::Over => None,
    }
}

/// A sweep's state; where it is paused or cancelled, by whom and why.
pub(crate) fn state_text(sweep: &v1::SweepRow) -> String {
    // A note begins with the state. One that is left over from a pause does not go with a finished sweep.
    escape_control(if sweep.note.starts_with(&sweep.state) { &sweep.note } else { &sweep.state })
}

/// A sweep's updates, through restarts of its coordinator. Never ends by itself: whoever asks knows when to stop.
#[derive(Debug)]
pub(crate) struct Updates<'a> {
    client: &'a Client,
    sweep: &'a str,
    stream: Option<Streaming<v1::SweepStatus>>,
    patience: Duration,
    back_off: BackOff,
}

impl<'a> Updates<'a> {
    /// Begins; the first update is where the sweep stands. Streams that are cut before they bring anything are opened again for `patience`.
    pub(crate) fn new(client: &'a Client, sweep: &'a str, patience: Duration) -> Self {
        Self { client, sweep, stream: None, patience, back_off: BackOff::new(patience) }
    }

    /// The next update.
    ///
    /// # Errors
    /// When the coordinator refuses, or goes away for too long.
    pub(crate) async fn next(&mut self) -> Result<v1::SweepStatus, Failure> {
        loop {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                None => self.stream.insert(self.client.watch(self.sweep).await?),
            };
            let status = match stream.message().await {
                Ok(Some(update)) => {
                    self.back_off = BackOff::new(self.patience);
                    return Ok(update);
                }
                // It ends early when the coordinator stops.
                Ok(None) => Status::unavailable("the stream of updates ended"),
                Err(status) => status,
            };
            self.stream = None;
            let delay = is_away(&status).then(|| self.back_off.next()).flatten();
            let Some(delay) = delay else { return Err(self.client.refused(&status)) };
            tracing::debug!(?status, ?delay, "the stream of updates was cut; opening another");
            tokio::time::sleep(delay).await;
        }
    }
}

/// Which jobs have been told of.
#[derive(Debug, Default)]
struct Ended {
    /// Their ids; absent until the first look, whose jobs are old news.
    told: Option<HashSet<String>>,
    next_list: Duration,
}

impl Ended {
    async fn tell(&mut self, client: &Client, sweep: &v1::SweepRow, progress: &mut Progress, now: Duration) -> Result<(), Failure> {
        let n_told = self.told.as_ref().map(HashSet::len);
        if sweep.n_jobs > MOST_JOBS_TOLD || now < self.next_list || n_told == usize::try_from(n_final(sweep)).ok() {
            return Ok(());
        }
        self.next_list = now + LIST_INTERVAL;
        let request = v1::ListJobsRequest { sweep: sweep.sweep.to_string(), limit: MOST_JOBS_TOLD as u32, ..Default::default() };
        let mut jobs = client.jobs(request).await?;
        jobs.retain(|job| job.finished_us.is_some());
        jobs.sort_by_key(|job| job.finished_us);
        for (n, job) in self.news(jobs) {
            progress.job_ended(&job, n, sweep.n_jobs);
        }
        Ok(())
    }

    /// Of the jobs that are over now, those not told of yet, each with how many have been told of by then.
    fn news(&mut self, over: Vec<v1::JobRow>) -> Vec<(i64, v1::JobRow)> {
        let ids: HashSet<String> = over.iter().map(|job| job.job.clone()).collect();
        let Some(told) = &mut self.told else {
            self.told = Some(ids);
            return Vec::new();
        };
        // Those that somebody had tried again will be news once more.
        told.retain(|job| ids.contains(job));
        let mut news = Vec::new();
        for job in over {
            if told.insert(job.job.clone()) {
                news.push((told.len() as i64, job));
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(state: &str, note: &str) -> v1::SweepRow {
        v1::SweepRow { sweep: 3, name: "digits".into(), state: state.into(), note: note.into(), ..v1::SweepRow::default() }
    }

    #[test]
    fn a_pause_by_a_person_is_waited_out_and_one_by_the_breaker_is_not() {
        assert_eq!(Stand::of(&sweep("running", "")), Stand::Going);
        assert_eq!(Stand::of(&sweep("paused", "")), Stand::Paused);
        assert_eq!(Stand::of(&sweep("paused", "paused by ada@lab: circuit breaker bought")), Stand::Paused);
        assert_eq!(Stand::of(&sweep("paused", "paused by coordinator: circuit breaker: 4 jobs failed, at most 3 may")), Stand::Broken);
        assert_eq!(Stand::of(&sweep("finished", "")), Stand::Over);
        assert_eq!(Stand::of(&sweep("cancelled", "cancelled by ada@lab")), Stand::Over);
    }

    #[test]
    fn a_pause_is_told_with_its_reason_and_the_way_out() {
        let paused = sweep("paused", "paused by ada@lab: GPUs \u{1b}needed");
        let said = news(&paused, Stand::Paused).unwrap();
        assert!(said.contains("`digits` is paused by ada@lab: GPUs \\u{1b}needed;") && said.contains("`offramp sweep resume 3`"), "{said}");
        assert!(news(&sweep("paused", ""), Stand::Paused).unwrap().contains("is paused; "));
        assert_eq!(news(&sweep("running", ""), Stand::Going), None);
        assert_eq!(state_text(&sweep("finished", "paused by ada@lab")), "finished");
    }

    #[test]
    fn jobs_are_told_of_once_and_again_after_a_retry() {
        let mut ended = Ended::default();
        let mut news = |ids: &[&str]| {
            let over = ids.iter().map(|id| v1::JobRow { job: (*id).into(), ..v1::JobRow::default() }).collect();
            ended.news(over).into_iter().map(|(n, job)| (n, job.job)).collect::<Vec<_>>()
        };
        assert_eq!(news(&["a"]), [], "what was over before is old news");
        assert_eq!(news(&["a", "b", "c"]), [(2, "b".to_owned()), (3, "c".to_owned())]);
        assert_eq!(news(&["a", "c"]), []);
        assert_eq!(news(&["a", "c", "b"]), [(3, "b".to_owned())]);
    }
}
