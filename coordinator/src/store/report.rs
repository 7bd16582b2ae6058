//! Takes reports of how attempts ended: the fence, the rows and the frontier.

use std::collections::{HashMap, HashSet};

use offramp_domain::job::{JobKey, Policy};
use offramp_domain::lifecycle::{self, Event, Limits, State, Tally};
use offramp_domain::outcome::{FailureKind, Outcome};
use serde::Serialize;

use super::batch::AttemptRef;
use super::engine::{Insertion, Row, args, storable};
use super::frontier::{self, Known, Origin};
pub(super) use super::refusal::Refusal;
use super::sessions::SessionId;
use super::withdrawal::{Withdrawn, withdraw};
use super::{Transaction, control, dependencies, json, results, sql};

/// Longest stored failure message, characters: a stack trace, not a log.
const MESSAGE_MAX_CHARS: usize = 8_000;

/// How an attempt ended, as its worker tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptReport {
    /// The attempt.
    pub attempt: AttemptRef,
    /// How it ended.
    pub end: AttemptEnd,
}

/// See [`AttemptReport`].
#[derive(Debug, Clone, PartialEq)]
pub enum AttemptEnd {
    /// With a result.
    Completed(Box<Outcome>),
    /// With a failure.
    Failed {
        /// Of which kind.
        kind: FailureKind,
        /// What happened.
        message: String,
    },
    /// Given back without fault of the job.
    GivenBack,
}

impl AttemptEnd {
    fn event(&self) -> Event {
        match self {
            Self::Completed(_) => Event::Completed,
            Self::Failed { kind, .. } => Event::Failed(*kind),
            Self::GivenBack => Event::Preempted,
        }
    }

    fn message(&self) -> &str {
        match self {
            Self::Failed { message, .. } => message,
            Self::Completed(_) => "",
            Self::GivenBack => "given back",
        }
    }
}

/// The answer to a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Accepted now, or before with this very attempt.
    Accepted,
    /// The lease was lost; nothing was changed.
    Stale,
    /// The job was cancelled before.
    Cancelled,
    /// The result is none that this job can have; nothing was changed.
    Refused(Refusal),
}

/// What a batch's reports came to.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) answers: Vec<Answer>,
    pub(super) ended: Vec<AttemptRef>,
    /// Whether jobs may have become claimable.
    pub(super) queued: bool,
    /// What sessions offer no longer.
    pub(super) withdrawn: Vec<Withdrawn>,
}

/// A lease that ends, as the transaction that ends it sees it.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) job_id: i64,
    pub(super) attempt: AttemptRef,
    pub(super) n_failures: u32,
    /// Other workers on which the job crashed its trainer since failures were last forgotten.
    pub(super) n_crashed_elsewhere: u32,
    /// Whether another worker offers the job's dataset, which this one does no longer.
    pub(super) data_elsewhere: bool,
}

/// How a lease ends.
#[derive(Debug, Clone)]
pub(super) struct End<'a> {
    pub(super) held: Held,
    pub(super) event: Event,
    pub(super) message: &'a str,
}

/// An attempt that was reported, with where it stands and what its result is measured against.
pub(super) struct Reported {
    pub(super) held: Held,
    /// Whether the session that reports holds the lease.
    is_held: bool,
    /// How the attempt stands in the books.
    outcome: String,
    worker: String,
    pub(super) origin: Origin,
    pub(super) backbone_macs: u64,
    /// JSON: cascade and selected MACs of an answer from each exit, side exits first.
    exit_costs: Option<String>,
}

impl Reported {
    pub(super) fn read(row: &Row, session: SessionId, attempt: &AttemptRef) -> Result<Self, sqlx::Error> {
        let holder: Option<i64> = row.get("session_id")?;
        let is_held = row.get::<String>("state")? == State::Leased.as_str()
            && row.get::<u32>("attempt")? == attempt.attempt
            && holder == Some(session.id)
            && row.get::<i64>("attempt_session_id")? == session.id
            && row.get::<i64>("attempt_session_opened_us")? == session.opened_us;
        Ok(Self {
            held: Held {
                job_id: row.get("job_id")?,
                attempt: attempt.clone(),
                n_failures: row.get("n_failures")?,
                n_crashed_elsewhere: row.get("n_crashed_elsewhere")?,
                data_elsewhere: false,
            },
            is_held,
            outcome: row.get("outcome")?,
            worker: row.get("worker")?,
            origin: Origin {
                job_id: row.get("job_id")?,
                dataset: row.get("dataset")?,
                backbone: row.get("backbone")?,
                pattern: row.get("pattern")?,
                trainer: row.get("trainer")?,
                params: row.get("params")?,
                n_classes: row.get("n_classes")?,
            },
            backbone_macs: row.get("backbone_macs")?,
            exit_costs: row.get("exit_costs")?,
        })
    }

    fn costs(&self) -> Result<Vec<ExitCost>, sqlx::Error> {
        let pairs: Vec<(i64, i64)> = serde_json::from_str(self.exit_costs.as_deref().unwrap_or("[]"))
            .map_err(|error| sqlx::Error::ColumnDecode { index: "exit_costs".to_owned(), source: Box::new(error) })?;
        let cost = |(cascade, selected): (i64, i64)| ExitCost { macs_cascade: cascade as f64, macs_selected: selected as f64 };
        Ok(pairs.into_iter().map(cost).collect())
    }
}

/// What an answer from one exit costs.
struct ExitCost {
    macs_cascade: f64,
    macs_selected: f64,
}

/// Largest deviation of a point's cost from what its exit shares cost, as a share of the latter: room for rounding and for nothing else.
const COST_TOLERANCE: f64 = 1e-6;

/// An attempt to look up, as `look.sql` and `cancelled_attempts.sql` read it.
#[derive(Serialize)]
pub(super) struct Wanted<'a> {
    place: usize,
    key: &'a str,
    attempt: u32,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(place: usize, attempt: &'a AttemptRef) -> Self {
        Self { place, key: attempt.key.as_str(), attempt: attempt.attempt }
    }
}

/// Takes reports, of which was looked up how their attempts stand: each is accepted or changes nothing.
pub(super) async fn take(
    tx: &mut Transaction,
    frontiers: &Known,
    reports: &[(SessionId, &AttemptReport)],
    reported: Vec<Option<Reported>>,
    limits: Limits,
    now_us: i64,
) -> Result<Taken, sqlx::Error> {
    let mut taken = Taken::default();
    let mut ends: Vec<End<'_>> = Vec::new();
    let mut accepted: Vec<(&Reported, &Outcome)> = Vec::new();
    let mut late = Vec::new();
    // What this batch itself has settled, for reports that come twice in it.
    let mut settled: HashMap<(i64, u32), &'static str> = HashMap::new();
    for ((session, report), found) in reports.iter().zip(&reported) {
        let Some(found) = found else {
            taken.answers.push(Answer::Stale);
            continue;
        };
        let event = report.end.event();
        let id = (found.held.job_id, report.attempt.attempt);
        let recorded = settled.get(&id).copied().unwrap_or(&found.outcome);
        if !found.is_held || settled.contains_key(&id) {
            taken.answers.push(if recorded == "cancelled" {
                late.push((found, outcome_name(event)));
                Answer::Cancelled
            } else if recorded == outcome_name(event) {
                Answer::Accepted
            } else {
                Answer::Stale
            });
            continue;
        }
        if let AttemptEnd::Completed(outcome) = &report.end {
            if let Err(refusal) = check(found, &found.costs()?, outcome) {
                taken.answers.push(Answer::Refused(refusal));
                continue;
            }
            accepted.push((found, outcome));
        }
        settled.insert(id, outcome_name(event));
        let mut held = found.held.clone();
        if event == Event::Failed(FailureKind::NoData) {
            let withdrawn = withdraw(tx, *session, &found.origin.dataset).await?;
            held.data_elsewhere = withdrawn.is_some();
            taken.withdrawn.extend(withdrawn);
        }
        ends.push(End { held, event, message: report.end.message() });
        taken.answers.push(Answer::Accepted);
    }
    for (found, outcome) in late {
        let message = format!("a report came after the cancellation ({outcome}); nothing was changed");
        tx.run(sql::INSERT_LATE_REPORT, args![now_us, found.held.job_id, found.held.attempt.attempt, &found.worker, message]).await?;
    }
    // Jobs before sweeps, whose frontiers come last: every transaction takes its locks in this order.
    let Settled { queued, sweeps, n_removals } = settle(tx, &ends, results::rows(&accepted), limits, now_us).await?;
    taken.queued = queued;
    frontier::advance(tx, frontiers, &results::points(&accepted), &sweeps, n_removals, now_us).await?;
    taken.ended = ends.into_iter().map(|end| end.held.attempt).collect();
    Ok(taken)
}

/// Which of these attempts ended because their job was cancelled.
pub(super) async fn cancelled(tx: &mut Transaction, attempts: &[&AttemptRef]) -> Result<HashSet<AttemptRef>, sqlx::Error> {
    if attempts.is_empty() {
        return Ok(HashSet::new());
    }
    let wanted: Vec<Wanted<'_>> = attempts.iter().enumerate().map(|(place, attempt)| Wanted::new(place, attempt)).collect();
    let rows = tx.all(sql::CANCELLED_ATTEMPTS, args![json(&wanted)]).await?;
    rows.iter().map(|row| Ok(attempts[row.get::<usize>("place")?].clone())).collect()
}

/// Refuses a result that this job's network cannot have.
fn check(found: &Reported, costs: &[ExitCost], outcome: &Outcome) -> Result<(), Refusal> {
    let job = || found.held.attempt.key.id().to_owned();
    if outcome.trainer != found.origin.trainer {
        return Err(Refusal::Trainer { found: outcome.trainer.clone(), expected: found.origin.trainer.clone() });
    }
    if outcome.exits.len() != costs.len() {
        return Err(Refusal::ExitCount { job: job(), found: outcome.exits.len(), expected: costs.len() });
    }
    for (index, point) in outcome.operating_points.iter().enumerate() {
        // Where branches answer together, none on the way is spared.
        let selected: fn(&ExitCost) -> f64 =
            if point.policy == Policy::Ensemble.as_str() { |cost| cost.macs_cascade } else { |cost| cost.macs_selected };
        let expected =
            |macs: fn(&ExitCost) -> f64| -> f64 { costs.iter().zip(&point.exit_shares).map(|(cost, share)| macs(cost) * share).sum() };
        for (field, found, expected) in [
            ("macs_cascade", point.macs_cascade, expected(|cost| cost.macs_cascade)),
            ("macs_selected", point.macs_selected, expected(selected)),
        ] {
            // Asked this way round, NaN is refused as well.
            let fits = (found - expected).abs() <= COST_TOLERANCE * expected;
            if !fits {
                let (found, expected) = (found.to_string(), expected.to_string());
                return Err(Refusal::Cost { job: job(), point: index, field, found, expected });
            }
        }
    }
    Ok(())
}

/// A lease that ends, as `settle.sql` reads it.
#[derive(Serialize)]
struct SettledJob<'a> {
    job_id: i64,
    attempt: u32,
    state: &'static str,
    n_failures: u32,
    not_before_us: i64,
    finished_us: Option<i64>,
    error: Option<&'a str>,
    outcome: &'static str,
    message: &'a str,
}

/// What became of leases that ended.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Whether jobs may have become claimable.
    pub(super) queued: bool,
    /// The jobs, each with a sweep that has it.
    pub(super) sweeps: Vec<(i64, i64)>,
    /// How often results were removed, until then.
    pub(super) n_removals: i64,
}

/// An attempt that ends, as `end_attempts.sql` reads it.
#[derive(Serialize)]
pub(super) struct EndedAttempt<'a> {
    pub(super) job_id: i64,
    pub(super) attempt: u32,
    pub(super) outcome: &'static str,
    pub(super) state: &'static str,
    pub(super) message: &'a str,
}

/// Ends leases as the lifecycle has it, with the rows of their results and with all that follows for other jobs and for sweeps.
///
/// The caller has made sure in this transaction that the leases are held.
pub(super) async fn settle(
    tx: &mut Transaction,
    ends: &[End<'_>],
    results: Vec<Insertion>,
    limits: Limits,
    now_us: i64,
) -> Result<Settled, sqlx::Error> {
    if ends.is_empty() {
        return Ok(Settled::default());
    }
    let messages: Vec<String> = ends.iter().map(|end| storable(truncated(end.message))).collect();
    let mut ended = Vec::with_capacity(ends.len());
    let (mut succeeded, mut failed, mut requeued, mut queued) = (Vec::new(), Vec::new(), Vec::new(), false);
    for (End { held, event, .. }, message) in ends.iter().zip(&messages) {
        let tally = Tally {
            n_failures: held.n_failures,
            n_crashed_workers: held.n_crashed_elsewhere + u32::from(*event == Event::Failed(FailureKind::Crashed)),
            data_elsewhere: held.data_elsewhere,
        };
        let next = lifecycle::step(State::Leased, *event, tally, limits).expect("these events end a lease");
        let n_failures = held.n_failures + u32::from(next.counts_as_failure);
        let back_off_us = lifecycle::back_off_ms(n_failures, seed(&held.attempt.key)).cast_signed() * 1_000;
        ended.push(SettledJob {
            job_id: held.job_id,
            attempt: held.attempt.attempt,
            state: next.state.as_str(),
            n_failures,
            not_before_us: if next.backs_off { now_us + back_off_us } else { 0 },
            finished_us: next.state.is_final().then_some(now_us),
            error: match event {
                Event::Completed => Some(""),
                Event::Failed(_) => Some(message),
                _ => None,
            },
            outcome: outcome_name(*event),
            message,
        });
        match next.state {
            State::Succeeded => succeeded.push(held.job_id),
            State::Queued => {
                requeued.push(held.job_id);
                queued |= !next.backs_off;
            }
            state if state.is_final() => failed.push(held.job_id),
            _ => {}
        }
    }
    let (mut n_settled, mut n_awaiting, mut n_removals, mut sweeps) = (0, 0, 0, Vec::new());
    for row in tx.insert_and_run(results, sql::SETTLE, args![json(&ended), now_us]).await? {
        let number: i64 = row.get("number")?;
        match row.get::<String>("what")?.as_str() {
            "settled" => n_settled = number,
            "awaiting" => n_awaiting = number,
            "removals" => n_removals = number,
            _ => sweeps.push((row.get("job_id")?, number)),
        }
    }
    if n_settled != ends.len() as i64 {
        return Err(sqlx::Error::InvalidArgument(format!(
            "{n_settled} of {} leases could be ended that this transaction saw held",
            ends.len()
        )));
    }
    // While it ran, another sweep may have said that it waits for something.
    dependencies::block(tx, &requeued, now_us).await?;
    if n_awaiting > 0 {
        queued |= dependencies::release(tx, &succeeded, now_us).await?;
        dependencies::fail(tx, &failed, now_us).await?;
    } else {
        control::trip_breakers(tx, &failed, now_us).await?;
    }
    Ok(Settled { queued, sweeps, n_removals })
}

/// What the attempts table says after an event of the newest attempt at a job.
pub(super) const fn outcome_name(event: Event) -> &'static str {
    match event {
        Event::Completed => "succeeded",
        // What is missing, its message says.
        Event::Failed(FailureKind::NoData) => FailureKind::Failed.as_str(),
        Event::Failed(kind) => kind.as_str(),
        Event::Lost => "lost",
        Event::Preempted => "preempted",
        Event::Cancelled => "cancelled",
        // These begin an attempt, or happen between two.
        Event::Claimed | Event::Unblocked | Event::DependencyFailed | Event::Retried => "running",
    }
}

/// A message as far as it is stored.
fn truncated(message: &str) -> &str {
    message.char_indices().nth(MESSAGE_MAX_CHARS).map_or(message, |(end, _)| &message[..end])
}

/// The first half of a job's key: as good as random, and the same on every coordinator.
fn seed(key: &JobKey) -> u64 {
    u64::from_str_radix(&key.as_str()[..16], 16).expect("a job key is hexadecimal digits")
}
