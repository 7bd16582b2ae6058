//! What workers do all day, many requests a transaction.
//!
//! A commit waits for the disk, and the disk takes no longer over many requests than over one. So the requests that arrive while one
//! transaction commits are carried out together in the next: sessions are looked up once, leases renewed, reports taken and jobs leased with one
//! statement each, and the rows of results travel many a statement.

use std::collections::{BTreeSet, HashMap, HashSet};

use offramp_domain::job::JobKey;
use offramp_domain::outcome::Progress;
use offramp_domain::placement::{Capabilities, Datasets};

use super::claim::{Renewal, Want};
use super::engine::{Row, Value, args};
use super::error::DatabaseError;
use super::report::{self, Answer, AttemptReport, Reported, Wanted};
use super::sessions::{SessionError, SessionId};
use super::withdrawal::Withdrawn;
use super::{Store, Transaction, claim, json, placements, sql};

/// An attempt at a job: the fence of every report.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttemptRef {
    /// The job.
    pub key: JobKey,
    /// The attempt's number.
    pub attempt: u32,
}

/// A job that a worker has been given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedJob {
    /// What to report under.
    pub attempt: AttemptRef,
    /// The job's canonical configuration.
    pub config_json: String,
}

/// A sign of life of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Beat {
    /// The attempt.
    pub attempt: AttemptRef,
    /// Where it stands, once an epoch is over.
    pub progress: Option<Progress>,
}

/// What a worker asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Who asks.
    pub session: SessionId,
    /// Signs of life, which renew leases and record finished epochs; `None` in a request that is no heartbeat.
    pub beats: Option<Vec<Beat>>,
    /// How attempts ended.
    pub reports: Vec<AttemptReport>,
    /// Lease up to this many jobs.
    pub n_jobs: usize,
    /// Of this sweep alone.
    pub sweep: Option<i64>,
}

impl Request {
    /// A request for nothing yet.
    pub fn new(session: SessionId) -> Self {
        Self { session, beats: None, reports: Vec::new(), n_jobs: 0, sweep: None }
    }
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// Attempts among the beats that the session does not hold.
    pub stale: Vec<AttemptRef>,
    /// Of these, the ones whose job was cancelled.
    pub cancelled: Vec<AttemptRef>,
    /// Whether the worker is to claim nothing more: 1 to end after its running jobs, 2 to give them back; 0 otherwise.
    pub draining: u32,
    /// One a report.
    pub answers: Vec<Answer>,
    /// Jobs leased.
    pub claimed: Vec<ClaimedJob>,
}

/// What a batch came to.
#[derive(Debug, Default)]
pub struct Applied {
    /// One a request.
    pub replies: Vec<Result<Reply, SessionError>>,
    /// Attempts that are over.
    pub ended: Vec<AttemptRef>,
    /// Whether jobs may have become claimable.
    pub queued: bool,
    /// Whether anything that a sweep's status shows has changed.
    pub changed: bool,
}

/// A session that may work.
#[derive(Debug)]
pub(super) struct OpenSession {
    pub(super) id: SessionId,
    pub(super) draining: u32,
    pub(super) capabilities: Capabilities,
}

impl OpenSession {
    fn read(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: SessionId { id: row.get("id")?, opened_us: row.get("opened_us")? },
            draining: row.get("draining")?,
            capabilities: placements::capabilities(row)?,
        })
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining > 0
    }
}

impl Store {
    /// Carries requests out, all in one transaction: beats first, then reports, then claims, so that what a report sets free can be claimed in the
    /// same batch. Leases last for `lease_us` from now.
    ///
    /// # Errors
    /// Those of the database; then nothing of the batch has happened.
    pub async fn apply(&self, requests: &[Request], now_us: i64, lease_us: i64) -> Result<Applied, DatabaseError> {
        let mut tx = self.batches.begin(&self.writer, now_us).await?;
        let reports: Vec<(SessionId, &AttemptReport)> =
            requests.iter().flat_map(|request| request.reports.iter().map(|report| (request.session, report))).collect();
        let Looked { mut sessions, reported } = look(&mut tx, requests, &reports).await?;
        let mut applied = Applied::default();
        let mut replies: Vec<Result<Reply, SessionError>> = requests
            .iter()
            .map(|request| match open(&sessions, request) {
                Some(session) => Ok(Reply { draining: session.draining, ..Reply::default() }),
                // A worker that comes late with a report learns whether it was taken. It does not need a session for that.
                None if request.beats.is_none() && request.n_jobs == 0 => Ok(Reply::default()),
                None => Err(SessionError::Gone(request.session)),
            })
            .collect();
        beat(&mut tx, requests, &mut replies, now_us, lease_us).await?;
        if !reports.is_empty() {
            let taken = report::take(&mut tx, &self.frontiers, &reports, reported, self.limits, now_us).await?;
            let mut answers = taken.answers.into_iter();
            for (request, reply) in requests.iter().zip(&mut replies) {
                let answers = answers.by_ref().take(request.reports.len()).collect();
                if let Ok(reply) = reply {
                    reply.answers = answers;
                }
            }
            for Withdrawn { session, offer } in taken.withdrawn {
                if let Some(OpenSession { capabilities: Capabilities { datasets: Datasets::Named(names), .. }, .. }) =
                    sessions.get_mut(&session.id)
                {
                    names.retain(|name| *name != offer);
                }
            }
            applied.queued = taken.queued;
            applied.changed = !taken.ended.is_empty();
            applied.ended = taken.ended;
        }
        let wanting: Vec<usize> = (0..requests.len()).filter(|index| requests[*index].n_jobs > 0 && replies[*index].is_ok()).collect();
        let wants: Vec<Want<'_>> = wanting
            .iter()
            .filter_map(|index| {
                let request = &requests[*index];
                open(&sessions, request).map(|session| Want { session, n_jobs: request.n_jobs, sweep: request.sweep })
            })
            .collect();
        let claimed = claim::claim(&mut tx, &self.claims, &wants, now_us, now_us + lease_us).await?;
        for (index, claimed) in wanting.into_iter().zip(claimed) {
            applied.changed |= !claimed.is_empty();
            if let Ok(reply) = &mut replies[index] {
                reply.claimed = claimed;
            }
        }
        self.commit(tx, "apply").await?;
        applied.replies = replies;
        Ok(applied)
    }
}

/// The session of a request, where it is open.
fn open<'s>(sessions: &'s HashMap<i64, OpenSession>, request: &Request) -> Option<&'s OpenSession> {
    sessions.get(&request.session.id).filter(|open| open.id == request.session)
}

/// What a batch is about, as it stands.
struct Looked {
    /// The open sessions of all requests, by number.
    sessions: HashMap<i64, OpenSession>,
    /// What is known of each report's attempt, by the report's place; nothing where there is no such attempt.
    reported: Vec<Option<Reported>>,
}

async fn look(tx: &mut Transaction, requests: &[Request], reports: &[(SessionId, &AttemptReport)]) -> Result<Looked, sqlx::Error> {
    let ids: BTreeSet<i64> = requests.iter().map(|request| request.session.id).collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    let wanted: Vec<Wanted<'_>> = reports.iter().enumerate().map(|(place, (_, report))| Wanted::new(place, &report.attempt)).collect();
    let mut looked = Looked { sessions: HashMap::new(), reported: reports.iter().map(|_| None).collect() };
    for row in tx.all(sql::LOOK, args![json(&ids), json(&wanted)]).await? {
        if let Some(place) = row.get::<Option<i64>>("place")? {
            let place = place as usize;
            let (session, report) = reports[place];
            looked.reported[place] = Some(Reported::read(&row, session, &report.attempt)?);
        } else {
            let session = OpenSession::read(&row)?;
            looked.sessions.insert(session.id.id, session);
        }
    }
    Ok(looked)
}

/// Renews leases, and records finished epochs.
async fn beat(
    tx: &mut Transaction,
    requests: &[Request],
    replies: &mut [Result<Reply, SessionError>],
    now_us: i64,
    lease_us: i64,
) -> Result<(), sqlx::Error> {
    let beating: Vec<(&Request, &mut Reply)> = requests
        .iter()
        .zip(replies)
        .filter(|(request, _)| request.beats.is_some())
        .filter_map(|(request, reply)| reply.as_mut().ok().map(|reply| (request, reply)))
        .collect();
    if beating.is_empty() {
        return Ok(());
    }
    let heard: BTreeSet<i64> = beating.iter().map(|(request, _)| request.session.id).collect();
    tx.run(sql::TOUCH_SESSIONS, args![json(&heard.into_iter().collect::<Vec<_>>()), now_us]).await?;
    let beats = || beating.iter().flat_map(|(request, _)| request.beats.iter().flatten().map(|beat| (request.session.id, beat)));
    let renewals: HashSet<(&str, u32, i64)> =
        beats().map(|(session, beat)| (beat.attempt.key.as_str(), beat.attempt.attempt, session)).collect();
    if renewals.is_empty() {
        return Ok(());
    }
    let renewals: Vec<Renewal<'_>> = renewals.into_iter().map(|(key, attempt, session)| Renewal { key, attempt, session }).collect();
    let mut held = HashMap::new();
    for row in tx.all(sql::RENEW, args![json(&renewals), now_us + lease_us]).await? {
        held.insert((claim::attempt_ref(&row)?, row.get::<i64>("session_id")?), row.get::<i64>("job_id")?);
    }
    let mut epochs: Vec<Vec<Value>> = Vec::new();
    let mut lost = Vec::new();
    for (session, beat) in beats() {
        match (held.get(&(beat.attempt.clone(), session)), &beat.progress) {
            (None, _) => lost.push(&beat.attempt),
            (Some(job_id), Some(progress)) if progress.epoch > 0 => epochs.push(epoch(*job_id, beat.attempt.attempt, progress)),
            (Some(_), _) => {}
        }
    }
    let cancelled = report::cancelled(tx, &lost).await?;
    tx.insert(sql::INSERT_EPOCH, epochs).await?;
    for (request, reply) in beating {
        let stale: BTreeSet<(&str, u32)> = request
            .beats
            .iter()
            .flatten()
            .filter(|beat| !held.contains_key(&(beat.attempt.clone(), request.session.id)))
            .map(|beat| (beat.attempt.key.as_str(), beat.attempt.attempt))
            .collect();
        let refs = stale.into_iter().filter_map(|(key, attempt)| Some(AttemptRef { key: JobKey::parse(key)?, attempt }));
        reply.stale = refs.collect();
        reply.cancelled = reply.stale.iter().filter(|attempt| cancelled.contains(attempt)).cloned().collect();
    }
    Ok(())
}

fn epoch(job_id: i64, attempt: u32, progress: &Progress) -> Vec<Value> {
    let exit_accuracy = serde_json::to_string(&progress.exit_accuracy).expect("numbers are JSON");
    let loss = progress.loss.is_finite().then_some(progress.loss);
    args![job_id, attempt, progress.epoch, loss, exit_accuracy, progress.images_per_second].to_vec()
}
