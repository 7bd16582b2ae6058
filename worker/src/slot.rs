//! One slot: a trainer process, and job after job on it.

mod reserve;

use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use offramp_domain::job::{JobConfig, JobKey};
use offramp_domain::outcome::{FailureKind, Progress};
use offramp_proto::v1;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::DropGuard;
use tracing::Instrument;

use crate::lease::Lease;
use crate::process::{RunEnd, StartError, TrainerProcess};
use crate::report::{Report, Verdict};
use crate::run::{Shared, WorkerError};
use crate::trainer::{Attempt, with_sources};
use reserve::{Need, Reserve};

/// How often a replacement for a dead trainer process is tried for before the worker gives up, and the pause after the first try.
const START_TRIES: u32 = 4;
const START_PAUSE: Duration = Duration::from_secs(1);

/// Works until the worker is to finish. Leases come in and reports go out beside the runs, so that the trainer never waits for the
/// coordinator while there is work. `running` is dropped after the last run.
pub(crate) async fn work(
    shared: &Shared,
    slot: u32,
    trainer: Option<TrainerProcess>,
    reports: UnboundedSender<Report>,
    running: Arc<DropGuard>,
) -> Result<(), WorkerError> {
    let reserve = Reserve::new();
    let (handover, leases) = mpsc::channel(1);
    tokio::try_join!(reserve::keep(shared, slot, &reserve, handover, reports), run_jobs(shared, slot, trainer, &reserve, leases, running),)?;
    Ok(())
}

/// Runs what is leased, job after job, until nothing comes any more.
async fn run_jobs(
    shared: &Shared,
    slot: u32,
    mut trainer: Option<TrainerProcess>,
    reserve: &Reserve,
    mut leases: mpsc::Receiver<Lease>,
    _running: Arc<DropGuard>,
) -> Result<(), WorkerError> {
    while let Some(ready) = start(shared, slot, trainer.take()).await? {
        reserve.needs(Need::Now);
        let Some(lease) = leases.recv().await else {
            ready.end().await;
            break;
        };
        // It may have died while it waited, which is no fault of the job that comes. A lease that is not run is given back.
        let Some(ready) = start(shared, slot, Some(ready)).await? else { break };
        let (verdict, process) = run(shared, slot, &lease, ready, reserve).await?;
        let wish = if shared.finish.is_cancelled() || matches!(verdict, Verdict::Lost(_)) { None } else { reserve.take_wish() };
        lease.end(verdict, wish);
        trainer = process;
    }
    Ok(())
}

/// The process that is there, or another where it is gone; `None` where the worker is to finish.
async fn start(shared: &Shared, slot: u32, current: Option<TrainerProcess>) -> Result<Option<TrainerProcess>, WorkerError> {
    if let Some(mut process) = current
        && process.is_alive()
    {
        return Ok(Some(process));
    }
    let started = async {
        let mut pause = START_PAUSE;
        for _ in 1..START_TRIES {
            match TrainerProcess::start(&shared.trainer, slot, shared.limits).await {
                Ok(process) => return Ok(process),
                Err(error) => tracing::warn!(slot, error = with_sources(&error), "no trainer process, trying again"),
            }
            sleep(pause).await;
            pause *= 2;
        }
        TrainerProcess::start(&shared.trainer, slot, shared.limits).await
    };
    tokio::select! {
        biased;
        () = shared.finish.cancelled() => Ok(None),
        process = started => process.map(Some).map_err(|error: StartError| error.into()),
    }
}

/// Runs a lease to its end; gives back what to report of it, and the process where it can be used again. Tells `reserve` when the last epoch
/// begins: earlier, the next job would wait here while another worker may be idle; later, the trainer would wait for it.
///
/// A process that dies before it has its orders is replaced, once: a job that kills two in that time may be what kills them.
async fn run(
    shared: &Shared,
    slot: u32,
    lease: &Lease,
    process: TrainerProcess,
    reserve: &Reserve,
) -> Result<(Verdict, Option<TrainerProcess>), WorkerError> {
    if lease.stop.is_cancelled() || shared.finish.is_cancelled() {
        return Ok((Verdict::GivenBack, Some(process)));
    }
    let n_epochs = match check(&lease.attempt.job, &lease.config_json) {
        Ok(config) => config.n_epochs(),
        Err(message) => return Ok((failed(&lease.attempt, FailureKind::Failed, message), Some(process))),
    };
    let begin_epoch_after = |n_finished: u32| {
        if n_finished.saturating_add(1) >= n_epochs {
            reserve.needs(Need::Soon);
        }
    };
    let attempt = &lease.attempt;
    let span = tracing::info_span!("attempt", job = %attempt.job, attempt = attempt.number, slot);
    let ran = async {
        tracing::info!("started");
        begin_epoch_after(0);
        let order = v1::Run { job_key: attempt.job.as_str().into(), attempt: attempt.number, config_json: lease.config_json.clone() };
        let mut on_progress = |progress: Progress| {
            begin_epoch_after(progress.epoch);
            shared.held.push(attempt, progress);
        };
        let (end, process) = process.run(order.clone(), &lease.stop, &mut on_progress).await;
        let RunEnd::NotBegun { message } = end else { return Ok((end, process)) };
        tracing::warn!(reason = message, "the trainer process was gone before it had its orders, taking another");
        match start(shared, slot, None).await? {
            Some(another) => Ok(another.run(order, &lease.stop, &mut on_progress).await),
            None => Ok::<_, WorkerError>((RunEnd::Stopped, None)),
        }
    };
    let (end, process) = ran.instrument(span).await?;
    Ok((verdict(shared, attempt, end), process))
}

/// The configuration, where this build reads it as the same work that the coordinator means: a result must never be filed under another
/// job's key.
fn check(job: &JobKey, config_json: &str) -> Result<JobConfig, String> {
    let config = JobConfig::from_json(config_json).map_err(|error| with_sources(&error))?;
    if config.key() == *job {
        Ok(config)
    } else {
        Err(format!("the lease is for job {job}, but its configuration is that of job {} to this worker", config.key()))
    }
}

fn verdict(shared: &Shared, attempt: &Attempt, end: RunEnd) -> Verdict {
    if let Some(how) = shared.held.lost(attempt) {
        return Verdict::Lost(how);
    }
    match end {
        RunEnd::Outcome(outcome) => Verdict::Completed(outcome),
        RunEnd::Failed { kind, message } => failed(attempt, kind, message),
        RunEnd::NotBegun { message } => failed(attempt, FailureKind::Crashed, message),
        RunEnd::Stopped => Verdict::GivenBack,
    }
}

fn failed(attempt: &Attempt, kind: FailureKind, message: String) -> Verdict {
    tracing::warn!(job = %attempt.job, attempt = attempt.number, kind = kind.as_str(), reason = message, "attempt failed");
    Verdict::Failed { kind, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_must_be_the_job_that_was_leased() {
        let job = JobKey::parse("0123456789abcdef0123456789abcdef").unwrap();
        assert_eq!(check(&job, "{}").unwrap_err(), "not a job configuration: missing field `version` at line 1 column 2");
        let config = crate::testing::config("digits", 3);
        assert_eq!(check(&config.key(), &config.canonical_json()), Ok(config.clone()));
        let expected =
            format!("the lease is for job 0123456789ab, but its configuration is that of job {} to this worker", config.key().id());
        assert_eq!(check(&job, &config.canonical_json()).unwrap_err(), expected);
    }
}
