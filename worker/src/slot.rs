//! One slot: a trainer process, and job after job on it.

use std::time::Duration;

use offramp_domain::job::{JobConfig, JobKey};
use offramp_domain::outcome::FailureKind;
use offramp_proto::{convert, v1};
use tokio::time::sleep;
use tracing::Instrument;

use crate::client::CALL_WITHIN;
use crate::process::{RunEnd, StartError, TrainerProcess};
use crate::report::{self, Report, Verdict};
use crate::run::{Shared, WorkerError};
use crate::trainer::{Attempt, with_sources};

/// How long a claim waits at the coordinator for a job to turn up.
const CLAIM_WAIT: Duration = Duration::from_secs(20);

/// Pause after a claim that found nothing, so that a coordinator that does not wait is not flooded.
const CLAIM_PAUSE: Duration = Duration::from_millis(50);

/// How often a replacement for a dead trainer process is tried for before the worker gives up, and the pause after the first try.
const START_TRIES: u32 = 4;
const START_PAUSE: Duration = Duration::from_secs(1);

/// Works until the worker drains: claims the next job while the last one's report is on its way.
pub(crate) async fn work(shared: &Shared, slot: u32, mut trainer: Option<TrainerProcess>) -> Result<(), WorkerError> {
    let mut reported = None;
    loop {
        let current = trainer.take();
        let next = async {
            let Some(ready) = start(shared, slot, current).await? else { return Ok((None, None)) };
            Ok((Some(ready), claim(shared).await?))
        };
        let (ready, lease) = match tokio::try_join!(next, report::deliver(shared, reported.take()))? {
            ((Some(ready), Some(lease)), ()) => (ready, lease),
            ((idle, _), ()) => {
                if let Some(idle) = idle {
                    idle.end().await;
                }
                return Ok(());
            }
        };
        (reported, trainer) = run(shared, slot, lease, ready).await;
    }
}

/// Leases one job; `None` where the worker drains. A lease that is granted while the worker turns away from the claim is given back with
/// the session.
async fn claim(shared: &Shared) -> Result<Option<v1::Lease>, WorkerError> {
    let claimed = async {
        loop {
            let request = |mut rpc: crate::client::Rpc, session| async move {
                rpc.claim(v1::ClaimRequest { session, max_jobs: 1, wait_ms: CLAIM_WAIT.as_millis() as u32 }).await
            };
            let response = shared.client.call("Claim", CLAIM_WAIT + CALL_WITHIN, request).await?;
            if let Some(lease) = response.leases.into_iter().next() {
                return Ok(lease);
            }
            sleep(CLAIM_PAUSE).await;
        }
    };
    tokio::select! {
        biased;
        () = shared.drain.cancelled() => Ok(None),
        lease = claimed => lease.map(Some).map_err(|error| shared.error(error)),
    }
}

/// The process that is there, or another where it is gone; `None` where the worker drains.
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
        () = shared.drain.cancelled() => Ok(None),
        process = started => process.map(Some).map_err(|error: StartError| error.into()),
    }
}

/// Runs a lease to its end; gives back what to report of it, and the process where it can be used again.
async fn run(shared: &Shared, slot: u32, lease: v1::Lease, process: TrainerProcess) -> (Option<Report>, Option<TrainerProcess>) {
    let id = v1::AttemptId { job_key: lease.job_key.clone(), attempt: lease.attempt };
    let attempt = match convert::attempt_id(Some(&id)) {
        Ok((job, number)) => Attempt { job, number },
        Err(error) => {
            // It has no name to report it by, and runs out by itself.
            tracing::error!(%error, "a lease without a valid attempt is left alone");
            return (None, Some(process));
        }
    };
    let stop = shared.drain.child_token();
    shared.held.insert(&attempt, slot, stop.clone());
    if let Err(message) = check(&attempt.job, &lease.config_json) {
        let verdict = Verdict::Failed { kind: FailureKind::Failed, message };
        return (Some(Report { attempt, verdict }), Some(process));
    }
    let span = tracing::info_span!("attempt", job = %attempt.job, attempt = attempt.number, slot);
    async {
        tracing::info!("started");
        let order = v1::Run { job_key: lease.job_key, attempt: lease.attempt, config_json: lease.config_json };
        let (end, process) = process.run(order, &stop, &mut |progress| shared.held.push(&attempt, progress)).await;
        (Some(Report { verdict: verdict(shared, &attempt, end), attempt }), process)
    }
    .instrument(span)
    .await
}

/// Whether this build reads the configuration, and as the same work that the coordinator means: a result must never be filed under
/// another job's key.
fn check(job: &JobKey, config_json: &str) -> Result<(), String> {
    let config = JobConfig::from_json(config_json).map_err(|error| with_sources(&error))?;
    if config.key() == *job {
        Ok(())
    } else {
        Err(format!("the lease is for job {job}, but its configuration is that of job {} to this worker", config.key()))
    }
}

fn verdict(shared: &Shared, attempt: &Attempt, end: RunEnd) -> Verdict {
    if shared.held.is_stale(attempt) {
        return Verdict::Lost;
    }
    match end {
        RunEnd::Outcome(outcome) => Verdict::Completed(outcome),
        RunEnd::Failed { kind, message } => Verdict::Failed { kind, message },
        RunEnd::Stopped => Verdict::Released,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_must_be_the_job_that_was_leased() {
        let job = JobKey::parse("0123456789abcdef0123456789abcdef").unwrap();
        assert_eq!(check(&job, "{}").unwrap_err(), "not a job configuration: missing field `version` at line 1 column 2");
        let config = crate::testing::config("digits", 3);
        assert_eq!(check(&config.key(), &config.canonical_json()), Ok(()));
        let expected =
            format!("the lease is for job 0123456789ab, but its configuration is that of job {} to this worker", config.key().id());
        assert_eq!(check(&job, &config.canonical_json()).unwrap_err(), expected);
    }
}
