//! What people do to sweeps and jobs: pause, resume, cancel, retry, put first.

mod error;

use std::collections::BTreeSet;

use offramp_domain::job::JobKey;
use offramp_domain::lifecycle::{self, Event, Limits, State, Tally};
use serde::Serialize;

pub use self::error::ControlError;
use super::batch::AttemptRef;
use super::dependencies::{self, Unleased};
use super::engine::{Row, Value, args, storable};
use super::report::{EndedAttempt, outcome_name};
use super::{Alone, Store, Transaction, claim, frontier, json, sql};

/// Who asks for something, and why; for the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    /// `user@host`.
    pub who: String,
    /// Why; empty where nobody said.
    pub reason: String,
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Controlled {
    /// Jobs that it changed.
    pub n_jobs: u64,
    /// Whether it changed anything, the sweep itself included.
    pub changed: bool,
    /// Attempts that are over.
    pub ended: Vec<AttemptRef>,
}

/// Which of a sweep's ended jobs to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetryStates {
    /// Those that failed.
    pub failed: bool,
    /// Those that are quarantined.
    pub quarantined: bool,
    /// Those that were cancelled.
    pub cancelled: bool,
}

/// A job as it stands.
pub(super) struct Standing {
    pub(super) job_id: i64,
    pub(super) attempt: AttemptRef,
    pub(super) state: State,
}

impl Standing {
    pub(super) fn read(row: &Row) -> Result<Self, sqlx::Error> {
        let state: String = row.get("state")?;
        let unknown = || sqlx::Error::Decode(format!("`{state}` is not a job's state").into());
        Ok(Self { job_id: row.get("job_id")?, attempt: claim::attempt_ref(row)?, state: State::parse(&state).ok_or_else(unknown)? })
    }
}

impl Store {
    /// Begins a transaction that changes a sweep. It has the sweep's jobs before it has the sweep, as transactions that take reports do: otherwise
    /// each would wait for the other.
    async fn begin_with(&self, sweep: i64) -> Result<Alone, sqlx::Error> {
        let mut tx = self.begin_alone().await?;
        tx.run_on_postgres(sql::postgres::LOCK_UNFINISHED_JOBS, args![sweep]).await?;
        Ok(tx)
    }

    /// Hands out no more jobs for the sake of a sweep. Running ones go on.
    ///
    /// # Errors
    /// When the sweep is cancelled, and those of the database.
    pub async fn pause(&self, sweep: i64, by: &Requester, now_us: i64) -> Result<Controlled, ControlError> {
        self.persist(|| async {
            let mut tx = self.begin_with(sweep).await?;
            // A sweep that is over has nothing to hold back.
            if !is_open(&mut tx, sweep).await? || !set_state(&mut tx, sweep, "active", "paused", by, now_us).await? {
                let answer = Self::unchanged(&mut tx, sweep).await;
                return tx.give_up(answer).await;
            }
            let n_jobs = sponsor(&mut tx, sweep).await?;
            self.commit_alone(tx, "control").await?;
            Ok(Controlled { n_jobs, changed: true, ended: Vec::new() })
        })
        .await
    }

    /// Hands out a paused sweep's jobs again. They queue up behind those that wait now, as if they had just come. The circuit breaker counts anew.
    ///
    /// # Errors
    /// When the sweep is cancelled, and those of the database.
    pub async fn resume(&self, sweep: i64, by: &Requester, now_us: i64) -> Result<Controlled, ControlError> {
        self.persist(|| async {
            let mut tx = self.begin_with(sweep).await?;
            if !set_state(&mut tx, sweep, "paused", "active", by, now_us).await? {
                let answer = Self::unchanged(&mut tx, sweep).await;
                return tx.give_up(answer).await;
            }
            let n_jobs = readmit(&mut tx, sweep).await?;
            self.commit_alone(tx, "control").await?;
            Ok(Controlled { n_jobs, changed: true, ended: Vec::new() })
        })
        .await
    }

    /// Cancels every job of a sweep that is not over and that no other sweep wants.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn cancel_sweep(&self, sweep: i64, by: &Requester, now_us: i64) -> Result<Controlled, ControlError> {
        self.persist(|| async {
            let mut tx = self.begin_with(sweep).await?;
            if !is_open(&mut tx, sweep).await? {
                return tx.give_up(Ok(Controlled::default())).await;
            }
            let was_active = set_state(&mut tx, sweep, "active", "cancelled", by, now_us).await?;
            if !was_active && !set_state(&mut tx, sweep, "paused", "cancelled", by, now_us).await? {
                return tx.give_up(Ok(Controlled::default())).await;
            }
            let rows = tx.all(sql::CANCELLABLE_JOBS, args![sweep]).await?;
            let jobs: Vec<Standing> = rows.iter().map(Standing::read).collect::<Result<_, _>>()?;
            let ended = cancel(&mut tx, &jobs, by, now_us).await?;
            // Other sweeps' jobs that this one was the most urgent for.
            sponsor(&mut tx, sweep).await?;
            self.commit_alone(tx, "control").await?;
            Ok(Controlled { n_jobs: jobs.len() as u64, changed: true, ended })
        })
        .await
    }

    /// Cancels a job, whichever sweeps want it. Of a cancelled one nothing changes.
    ///
    /// # Errors
    /// When the job is over for another reason, and those of the database.
    pub async fn cancel_job(&self, key: &JobKey, by: &Requester, now_us: i64) -> Result<Controlled, ControlError> {
        self.persist(|| async {
            let mut tx = self.begin_alone().await?;
            let job = Standing::read(&tx.one(sql::STANDING_OF_JOB, args![key.as_str()]).await?)?;
            match job.state {
                State::Cancelled => return tx.give_up(Ok(Controlled::default())).await,
                state if state.is_final() => return tx.give_up(Err(ControlError::Over { key: key.clone(), state })).await,
                _ => {}
            }
            let ended = cancel(&mut tx, &[job], by, now_us).await?;
            self.commit_alone(tx, "control").await?;
            Ok(Controlled { n_jobs: 1, changed: true, ended })
        })
        .await
    }

    /// Queues a sweep's jobs again that ended in one of these states, with what failed because it waited for them. A sweep that was paused or
    /// cancelled is taken up again.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn retry_sweep(&self, sweep: i64, states: RetryStates, by: &Requester, now_us: i64) -> Result<Controlled, ControlError> {
        self.persist(|| async {
            let mut tx = self.begin_with(sweep).await?;
            let names: Vec<&str> =
                [(states.failed, State::Failed), (states.quarantined, State::Quarantined), (states.cancelled, State::Cancelled)]
                    .into_iter()
                    .filter(|(wanted, _)| *wanted)
                    .map(|(_, state)| state.as_str())
                    .collect();
            let rows = tx.all(sql::ENDED_JOBS_OF_SWEEP, args![sweep, json(&names)]).await?;
            let jobs: Vec<Standing> = rows.iter().map(Standing::read).collect::<Result<_, _>>()?;
            let reactivated = set_state(&mut tx, sweep, "paused", "active", by, now_us).await?
                || states.cancelled && set_state(&mut tx, sweep, "cancelled", "active", by, now_us).await?;
            let n_jobs = retry(&mut tx, jobs, by, now_us).await?;
            if reactivated || n_jobs > 0 {
                readmit(&mut tx, sweep).await?;
            }
            self.commit_alone(tx, "control").await?;
            Ok(Controlled { n_jobs, changed: reactivated || n_jobs > 0, ended: Vec::new() })
        })
        .await
    }

    /// Queues a job again that ended without a result, whatever ended it, with what failed because it waited for it. A job that waits already
    /// stays as it is. Where every sweep that has it was cancelled, the newest one is taken up again: nothing is handed out for no sweep's sake.
    ///
    /// With `again`, a job that has its result loses it, and all that followed from it: what its points had kept off frontiers returns to them, and
    /// what waits for the job and is not being worked on waits again.
    ///
    /// # Errors
    /// When the job has its result, unless `again`, or is being worked on; and those of the database.
    pub async fn retry_job(&self, key: &JobKey, again: bool, by: &Requester, now_us: i64) -> Result<Controlled, ControlError> {
        self.persist(|| async {
            let mut tx = self.begin_alone().await?;
            if again {
                // Before any job is: whoever accepts a result has this first as well.
                tx.run_on_postgres(sql::postgres::LOCK_FRONTIERS, []).await?;
            }
            let mut taken_back = Vec::new();
            let job = Standing::read(&tx.one(sql::STANDING_OF_JOB, args![key.as_str()]).await?)?;
            match job.state {
                State::Succeeded if again => {
                    taken_back.push(job.job_id);
                    frontier::remove(&mut tx, &taken_back).await?;
                }
                State::Succeeded => return tx.give_up(Err(ControlError::HasResult(key.clone()))).await,
                State::Blocked | State::Leased => {
                    return tx.give_up(Err(ControlError::NotOver { key: key.clone(), state: job.state })).await;
                }
                State::Queued => return tx.give_up(Ok(Controlled::default())).await,
                State::Failed | State::Diverged | State::Quarantined | State::Cancelled => {}
            }
            let sweeps = tx.all(sql::SWEEPS_OF_JOB, args![job.job_id]).await?;
            let states: Vec<(i64, String)> =
                sweeps.iter().map(|row| Ok((row.get("sweep")?, row.get("state")?))).collect::<Result<_, sqlx::Error>>()?;
            if states.iter().all(|(_, state)| state == "cancelled")
                && let Some((newest, _)) = states.last()
            {
                set_state(&mut tx, *newest, "cancelled", "active", by, now_us).await?;
            }
            let n_jobs = retry(&mut tx, vec![job], by, now_us).await?;
            if !taken_back.is_empty() {
                dependencies::wait_again(&mut tx, &taken_back, now_us).await?;
            }
            self.commit_alone(tx, "control").await?;
            Ok(Controlled { n_jobs, changed: true, ended: Vec::new() })
        })
        .await
    }

    /// Sets a sweep's priority. Its jobs queue up behind those of that priority that wait now.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prioritize_sweep(&self, sweep: i64, priority: i32, by: &Requester, now_us: i64) -> Result<Controlled, ControlError> {
        self.persist(|| async {
            let mut tx = self.begin_with(sweep).await?;
            if tx.run(sql::SET_SWEEP_PRIORITY, args![sweep, priority]).await? == 0 {
                return tx.give_up(Ok(Controlled::default())).await;
            }
            // While its jobs are not in that queue yet.
            queue_up(&mut tx, sweep, priority.into()).await?;
            let n_jobs = sponsor(&mut tx, sweep).await?;
            let message = said(&format!("priority {priority}"), by);
            tx.insert(sql::INSERT_EVENT, vec![sweep_event(sweep, "prioritized", "", &by.who, &message, now_us)]).await?;
            self.commit_alone(tx, "control").await?;
            Ok(Controlled { n_jobs, changed: true, ended: Vec::new() })
        })
        .await
    }

    /// Sets what a job's own priority adds to its sweep's.
    ///
    /// # Errors
    /// When the job is over, and those of the database.
    pub async fn prioritize_job(&self, key: &JobKey, priority: i32, by: &Requester, now_us: i64) -> Result<Controlled, ControlError> {
        self.persist(|| async {
            let mut tx = self.begin_alone().await?;
            let job = Standing::read(&tx.one(sql::STANDING_OF_JOB, args![key.as_str()]).await?)?;
            if job.state.is_final() {
                return tx.give_up(Err(ControlError::Over { key: key.clone(), state: job.state })).await;
            }
            if tx.run(sql::SET_JOB_PRIORITY, args![job.job_id, priority]).await? == 0 {
                return tx.give_up(Ok(Controlled::default())).await;
            }
            let message = said(&format!("priority {priority}"), by);
            let event = job_event(&job, "prioritized", job.state, &by.who, &message, now_us);
            tx.insert(sql::INSERT_EVENT, vec![event]).await?;
            self.commit_alone(tx, "control").await?;
            Ok(Controlled { n_jobs: 1, changed: true, ended: Vec::new() })
        })
        .await
    }

    /// What a request for a state that the sweep is not in comes to: nothing, unless the sweep is cancelled.
    async fn unchanged(tx: &mut Transaction, sweep: i64) -> Result<Controlled, ControlError> {
        let row = tx.one(sql::SWEEP_STANDING, args![sweep]).await?;
        if row.get::<String>("state")? == "cancelled" { Err(ControlError::Cancelled(sweep)) } else { Ok(Controlled::default()) }
    }
}

/// Whether any of a sweep's jobs is not over.
async fn is_open(tx: &mut Transaction, sweep: i64) -> Result<bool, sqlx::Error> {
    tx.one(sql::SWEEP_STANDING, args![sweep]).await?.get("is_open")
}

/// Queues the jobs of a new sweep again that somebody had cancelled: somebody wants them now.
pub(super) async fn want_again(tx: &mut Transaction, sweep: i64, by: &Requester, now_us: i64) -> Result<(), sqlx::Error> {
    let rows = tx.all(sql::ENDED_JOBS_OF_SWEEP, args![sweep, json(&[State::Cancelled.as_str()])]).await?;
    let jobs: Vec<Standing> = rows.iter().map(Standing::read).collect::<Result<_, _>>()?;
    retry(tx, jobs, by, now_us).await?;
    Ok(())
}

/// Pauses the sweeps that have one of these jobs, which just failed, and too many others that did.
pub(super) async fn trip_breakers(tx: &mut Transaction, failed: &[i64], now_us: i64) -> Result<(), sqlx::Error> {
    if failed.is_empty() {
        return Ok(());
    }
    let sweeps = tx.all(sql::SWEEPS_OF_JOBS, args![json(failed)]).await?;
    let sweeps: BTreeSet<i64> = sweeps.iter().map(|row| row.get("sweep_id")).collect::<Result<_, _>>()?;
    for row in tx.all(sql::TRIPPED_BREAKERS, args![json(&sweeps.into_iter().collect::<Vec<_>>())]).await? {
        let (sweep, n_failed, most): (i64, i64, i64) = (row.get("sweep_id")?, row.get("n_failed")?, row.get("max_failed_jobs")?);
        let reason = format!("circuit breaker: {n_failed} jobs failed, at most {most} may");
        debug_assert!(crate::BREAKER_NOTE.ends_with("coordinator: circuit breaker"), "clients know it by these words");
        let by = Requester { who: "coordinator".to_owned(), reason };
        if set_state(tx, sweep, "active", "paused", &by, now_us).await? {
            tracing::warn!(sweep, reason = by.reason, "sweep paused");
            sponsor(tx, sweep).await?;
        }
    }
    Ok(())
}

/// Moves a sweep from one state to another; whether it was in the first.
async fn set_state(tx: &mut Transaction, sweep: i64, from: &str, to: &str, by: &Requester, now_us: i64) -> Result<bool, sqlx::Error> {
    let note = if to == "active" { String::new() } else { said(&format!("{to} by {}", by.who), by) };
    if tx.run(sql::SET_SWEEP_STATE, args![sweep, to, from, note]).await? == 0 {
        return Ok(false);
    }
    let event = if to == "active" { "resumed" } else { to };
    tx.insert(sql::INSERT_EVENT, vec![sweep_event(sweep, event, to, &by.who, &by.reason, now_us)]).await?;
    Ok(true)
}

/// Lets a sweep's jobs be handed out again, behind those that wait now; the breaker counts from here.
async fn readmit(tx: &mut Transaction, sweep: i64) -> Result<u64, sqlx::Error> {
    tx.run(sql::FORGIVE_FAILURES, args![sweep]).await?;
    let priority = tx.one(sql::SWEEP_STANDING, args![sweep]).await?.get("priority")?;
    // While its jobs are not in the queue yet.
    queue_up(tx, sweep, priority).await?;
    sponsor(tx, sweep).await
}

/// Decides anew for the sake of which sweep each unfinished job of a sweep is handed out.
pub(super) async fn sponsor(tx: &mut Transaction, sweep: i64) -> Result<u64, sqlx::Error> {
    tx.run_on_postgres(sql::postgres::LOCK_UNFINISHED_JOBS, args![sweep]).await?;
    tx.run(sql::SPONSOR, args![sweep]).await
}

/// Moves the turns of a sweep's waiting jobs to where the queue of a priority stands, where they are earlier: as if they had just come.
async fn queue_up(tx: &mut Transaction, sweep: i64, priority: i64) -> Result<(), sqlx::Error> {
    for row in tx.all(sql::LEAST_TURNS, args![sweep]).await? {
        let (placement, least): (i64, i64) = (row.get("placement_id")?, row.get("turn")?);
        let shift = turn_base(tx, priority, placement).await? - least;
        if shift > 0 {
            tx.run(sql::SHIFT_TURNS, args![sweep, placement, shift]).await?;
        }
    }
    Ok(())
}

/// Where the queue of a priority stands for jobs that need the same; where none of these waits or runs, where it stands for any.
pub(super) async fn turn_base(tx: &mut Transaction, priority: i64, placement: i64) -> Result<i64, sqlx::Error> {
    let stands = tx.one(sql::TURN_BASE, args![priority, placement]).await?;
    let (own, anywhere): (Option<i64>, Option<i64>) = (stands.get("own")?, stands.get("anywhere")?);
    Ok(own.or(anywhere).unwrap_or(0))
}

/// No placement has this number: asked about it, the queue is looked at as a whole.
const ANY_PLACEMENT: i64 = 0;

/// Cancels jobs that are not over, and fails what waits for them. Answers with the attempts that this ended.
async fn cancel(tx: &mut Transaction, jobs: &[Standing], by: &Requester, now_us: i64) -> Result<Vec<AttemptRef>, sqlx::Error> {
    let error = said(&format!("cancelled by {}", by.who), by);
    let (leased, waiting): (Vec<&Standing>, Vec<&Standing>) = jobs.iter().partition(|job| job.state == State::Leased);
    let unleased = |jobs: &[&Standing]| json(&jobs.iter().map(|job| Unleased { job_id: job.job_id, error: &error }).collect::<Vec<_>>());
    tx.run(sql::END_UNLEASED, args![unleased(&waiting), State::Cancelled.as_str(), now_us]).await?;
    tx.run(sql::CANCEL_LEASED, args![unleased(&leased), now_us]).await?;
    let attempts: Vec<EndedAttempt<'_>> = leased
        .iter()
        .map(|job| EndedAttempt {
            job_id: job.job_id,
            attempt: job.attempt.attempt,
            outcome: outcome_name(Event::Cancelled),
            state: State::Cancelled.as_str(),
            message: &error,
        })
        .collect();
    tx.run(sql::END_ATTEMPTS, args![json(&attempts), now_us]).await?;
    let events = jobs.iter().map(|job| job_event(job, "cancelled", next(job.state, Event::Cancelled), &by.who, &by.reason, now_us));
    tx.insert(sql::INSERT_EVENT, events.collect()).await?;
    dependencies::fail(tx, &jobs.iter().map(|job| job.job_id).collect::<Vec<_>>(), now_us).await?;
    Ok(leased.into_iter().map(|job| job.attempt.clone()).collect())
}

/// A job to queue again, as `retry.sql` reads it.
#[derive(Serialize)]
struct Retried {
    job_id: i64,
    turn: i64,
}

/// Queues ended jobs again, and what failed for no other reason than that it waited for them.
async fn retry(tx: &mut Transaction, jobs: Vec<Standing>, by: &Requester, now_us: i64) -> Result<u64, sqlx::Error> {
    let mut all = jobs;
    let mut known: BTreeSet<i64> = all.iter().map(|job| job.job_id).collect();
    let mut level: Vec<i64> = known.iter().copied().collect();
    while !level.is_empty() {
        let rows = tx.all(sql::FAILED_DEPENDANTS, args![json(&level)]).await?;
        let found: Vec<Standing> = rows.iter().map(Standing::read).collect::<Result<_, _>>()?;
        let new: Vec<Standing> = found.into_iter().filter(|job| known.insert(job.job_id)).collect();
        level = new.iter().map(|job| job.job_id).collect();
        all.extend(new);
    }
    if all.is_empty() {
        return Ok(0);
    }
    // Their priorities may differ; where the most usual queue stands is good enough for all of them.
    let base = turn_base(tx, 0, ANY_PLACEMENT).await?;
    let retried: Vec<Retried> = (base..).zip(&all).map(|(turn, job)| Retried { job_id: job.job_id, turn }).collect();
    tx.run(sql::RETRY, args![json(&retried)]).await?;
    // Sweeps were paused, cancelled and put first while these jobs were over.
    let ids: Vec<i64> = all.iter().map(|job| job.job_id).collect();
    tx.run(sql::SPONSOR_JOBS, args![json(&ids)]).await?;
    let events = all.iter().map(|job| {
        if job.state == State::Succeeded {
            let message = said("its result was taken back", by);
            return job_event(job, "retried", next(job.state, Event::TakenBack), &by.who, &message, now_us);
        }
        job_event(job, "retried", next(job.state, Event::Retried), &by.who, &by.reason, now_us)
    });
    tx.insert(sql::INSERT_EVENT, events.collect()).await?;
    for row in tx.all(sql::SWEEPS_OF_JOBS, args![json(&ids)]).await?.chunk_by(|a, b| sweep_of(a).ok() == sweep_of(b).ok()) {
        tx.run(sql::CAP_FORGIVEN, args![sweep_of(&row[0])?]).await?;
    }
    dependencies::block(tx, &ids, now_us).await?;
    Ok(all.len() as u64)
}

fn sweep_of(row: &Row) -> Result<i64, sqlx::Error> {
    row.get("sweep_id")
}

fn next(state: State, event: Event) -> State {
    // Neither tally nor limits matter to what people do.
    let limits = Limits { max_failures: 1, quarantine_after: 1 };
    lifecycle::step(state, event, Tally::default(), limits).expect("the caller looked at the state").state
}

fn job_event(job: &Standing, event: &str, state: State, who: &str, message: &str, now_us: i64) -> Vec<Value> {
    args![now_us, job.job_id, None::<i64>, job.attempt.attempt, event, state.as_str(), who, message].to_vec()
}

pub(super) fn sweep_event(sweep: i64, event: &str, state: &str, who: &str, message: &str, now_us: i64) -> Vec<Value> {
    args![now_us, None::<i64>, sweep, 0_i64, event, state, who, message].to_vec()
}

/// What happened, with the reason where there is one.
pub(super) fn said(what: &str, by: &Requester) -> String {
    storable(&if by.reason.is_empty() { what.to_owned() } else { format!("{what}: {}", by.reason) })
}
