//! Takes results that were trained under another database.
//!
//! An imported result goes the way of every other one: its job is leased, here to a session that stands for the worker elsewhere, and reported at
//! once, in one transaction. So it is checked, stored, put on frontiers and waited for exactly as if a worker of this database had sent it.

use offramp_domain::exchange::{self, FinishedJob, NotItself};
use offramp_domain::job::JobConfig;
use offramp_domain::lifecycle::State;
use offramp_domain::network::Network;
use offramp_domain::outcome::Outcome;
use offramp_domain::placement::Requirements;
use offramp_domain::problem::printable;
use offramp_domain::sweep::SweepJob;
use offramp_proto::convert::DecodeError;
use offramp_proto::v1;

use super::batch::AttemptRef;
use super::control::Requester;
use super::engine::args;
use super::error::{DatabaseError, Passing};
use super::exchange::finished_jobs;
use super::refusal::Refusal;
use super::report::{self, Answer, AttemptEnd, AttemptReport, Reported, Wanted};
use super::sessions::SessionId;
use super::{Store, Transaction, json, placements, sql, submit};

/// Longest name of a worker, of its version and of a trainer, as where workers introduce themselves, characters.
const NAME_MAX_CHARS: usize = 200;
/// More epochs than anybody trains.
const EPOCHS_MOST: usize = 1_000_000;

/// Where results come from, and who imports them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The other database, without passwords.
    pub from: String,
    /// Who imports.
    pub by: Requester,
}

/// What became of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// It is here now.
    Added,
    /// It was here already, the same to the last bit.
    Known,
    /// The job has another result here, which stays.
    Differs {
        /// The first thing in which they differ.
        field: String,
    },
    /// A worker is training the job here at the moment, and is left to it.
    Leased,
    /// It is none that this job can have.
    Refused(ImportRefusal),
}

/// Why a result was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportRefusal {
    /// It is not of the job that it names.
    #[error(transparent)]
    NotItself(#[from] NotItself),
    /// A value is none that such a field can have.
    #[error(transparent)]
    Value(#[from] DecodeError),
    /// The job's network does not come to this.
    #[error(transparent)]
    Result(#[from] Refusal),
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Simulated results would stand beside real ones, and job keys do not tell them apart.
    #[error("results of trainer `{}` cannot stand beside those of trainer `{}`: simulated and real results are kept apart", found.escape_debug(), present.escape_debug())]
    Trainer {
        /// A result's trainer.
        found: String,
        /// One that has a result or an open session here.
        present: String,
    },
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl ImportError {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Trainer { .. } => Some("import them into a database of their own: name it with `--database`"),
            Self::Database(error) => error.hint(),
        }
    }
}

impl Passing for ImportError {
    fn is_passing(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_passing())
    }
}

impl From<sqlx::Error> for ImportError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// A job that was found to be what it says it is.
struct Checked<'a> {
    job: &'a FinishedJob,
    planned: SweepJob,
    outcome: Outcome,
}

impl Store {
    /// Takes finished jobs of another database: all of a job or nothing, and again without harm. One transaction; the answers are in the jobs'
    /// order. Jobs that are not here yet belong to no sweep until one is submitted that has them.
    ///
    /// # Errors
    /// When they are simulated and the database is one of real results, or the other way round, and those of the database: nothing is changed then.
    pub async fn import(&self, jobs: &[FinishedJob], origin: &Origin, now_us: i64) -> Result<Vec<Imported>, ImportError> {
        let checked: Vec<Result<Checked<'_>, ImportRefusal>> = jobs.iter().map(check).collect();
        self.persist(|| async {
            let mut refused: Vec<Option<ImportRefusal>> = checked.iter().map(|checked| checked.as_ref().err().cloned()).collect();
            loop {
                let mut tx = self.begin_alone().await?;
                match self.take(&mut tx, &checked, &refused, origin, now_us).await {
                    Ok(Taken::All(imported)) => {
                        self.commit_alone(tx, "import").await?;
                        self.claims.forget_placements();
                        return Ok(imported);
                    }
                    // Nothing of a refused job stays: the others are taken without it.
                    Ok(Taken::Refused(more)) => {
                        tx.give_up(()).await;
                        for (place, refusal) in more {
                            refused[place] = Some(refusal.into());
                        }
                    }
                    Err(error) => return tx.give_up(Err(error)).await,
                }
            }
        })
        .await
    }

    async fn take(
        &self,
        tx: &mut Transaction,
        checked_jobs: &[Result<Checked<'_>, ImportRefusal>],
        refused: &[Option<ImportRefusal>],
        origin: &Origin,
        now_us: i64,
    ) -> Result<Taken, ImportError> {
        let mut imported = Vec::with_capacity(checked_jobs.len());
        let mut reports: Vec<(usize, SessionId, AttemptReport, i64)> = Vec::new();
        for (place, (checked, refused)) in checked_jobs.iter().zip(refused).enumerate() {
            let (Ok(checked), None) = (checked, refused) else {
                imported.push(Imported::Refused(refused.clone().expect("what was not checked was refused")));
                continue;
            };
            let trainer = &checked.outcome.trainer;
            // Of this call as well: what it has leased so far has no result yet.
            let first = reports.first().and_then(|(place, ..)| self::trainer(&checked_jobs[*place]));
            if let Some(present) = first.filter(|first| is_simulated(first) != is_simulated(trainer)) {
                return Err(ImportError::Trainer { found: trainer.clone(), present: present.to_owned() });
            }
            if let Some(present) = tx.optional(sql::FOREIGN_TRAINER, args![trainer]).await? {
                return Err(ImportError::Trainer { found: trainer.clone(), present: present.get("trainer")? });
            }
            let answer = match lease(tx, checked, now_us).await? {
                Leased::Now(session, attempt, job_id) => {
                    let end = AttemptEnd::Completed(Box::new(checked.outcome.clone()));
                    reports.push((place, session, AttemptReport { attempt, end }, job_id));
                    Imported::Added
                }
                Leased::Not(answer) => answer,
            };
            imported.push(answer);
        }
        let refusals = self.deliver(tx, &reports, now_us).await?;
        if !refusals.is_empty() {
            return Ok(Taken::Refused(refusals));
        }
        let mut events = Vec::new();
        for (place, _, AttemptReport { attempt, .. }, job_id) in &reports {
            let Ok(Checked { job, .. }) = &checked_jobs[*place] else { unreachable!("what was leased was checked") };
            let number = attempt.attempt;
            let rows = job.epochs.iter().map(|epoch| {
                let accuracy = serde_json::to_string(&epoch.exit_accuracy).expect("numbers are JSON");
                args![*job_id, number, epoch.epoch, epoch.loss, accuracy, epoch.images_per_second].to_vec()
            });
            tx.insert(sql::INSERT_EPOCH, rows.collect()).await?;
            let message = match origin.by.reason.as_str() {
                "" => format!("from {}, trained by {}", origin.from, name(&job.worker)),
                reason => format!("from {}, trained by {}: {reason}", origin.from, name(&job.worker)),
            };
            let state = State::Succeeded.as_str();
            events.push(args![now_us, *job_id, None::<i64>, number, "imported", state, &origin.by.who, message].to_vec());
        }
        tx.insert(sql::INSERT_EVENT, events).await?;
        Ok(Taken::All(imported))
    }

    /// Reports results for leases of this transaction; those that were refused, by place.
    async fn deliver(
        &self,
        tx: &mut Transaction,
        reports: &[(usize, SessionId, AttemptReport, i64)],
        now_us: i64,
    ) -> Result<Vec<(usize, Refusal)>, sqlx::Error> {
        if reports.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: Vec<Wanted<'_>> =
            reports.iter().enumerate().map(|(index, (_, _, report, _))| Wanted::new(index, &report.attempt)).collect();
        let mut reported: Vec<Option<Reported>> = reports.iter().map(|_| None).collect();
        for row in tx.all(sql::LOOK, args![json::<i64>(&[]), json(&wanted)]).await? {
            if let Some(index) = row.get::<Option<i64>>("place")? {
                let (_, session, report, _) = &reports[index as usize];
                reported[index as usize] = Some(Reported::read(&row, *session, &report.attempt)?);
            }
        }
        let pairs: Vec<(SessionId, &AttemptReport)> = reports.iter().map(|(_, session, report, _)| (*session, report)).collect();
        let taken = report::take(tx, &self.frontiers, &pairs, reported, self.limits, now_us).await?;
        let mut refusals = Vec::new();
        for ((place, _, report, _), answer) in reports.iter().zip(taken.answers) {
            match answer {
                Answer::Accepted => {}
                Answer::Refused(refusal) => refusals.push((*place, refusal)),
                Answer::Stale | Answer::Cancelled => {
                    let message = format!("the lease of job {} is lost to the transaction that took it", report.attempt.key);
                    return Err(sqlx::Error::InvalidArgument(message));
                }
            }
        }
        Ok(refusals)
    }
}

/// The trainer of a result that may be taken.
fn trainer<'a>(checked: &'a Result<Checked<'_>, ImportRefusal>) -> Option<&'a str> {
    checked.as_ref().ok().map(|checked| checked.outcome.trainer.as_str())
}

/// Results are of one of two kinds.
fn is_simulated(trainer: &str) -> bool {
    trainer == "simulated"
}

/// What a transaction came to.
enum Taken {
    /// What became of every job.
    All(Vec<Imported>),
    /// Some were refused, by place; the transaction is to be given up.
    Refused(Vec<(usize, Refusal)>),
}

/// Whether a job is ready to be reported.
enum Leased {
    /// The session and attempt to report for, and the job's number.
    Now(SessionId, AttemptRef, i64),
    /// There is nothing to report.
    Not(Imported),
}

/// Leases the job of a result, and makes it where there is none.
async fn lease(tx: &mut Transaction, checked: &Checked<'_>, now_us: i64) -> Result<Leased, sqlx::Error> {
    let key = &checked.job.key;
    let mut found = tx.optional(sql::STANDING_OF_JOB, args![key.as_str()]).await?;
    if found.is_none() {
        let dataset = checked.planned.config.dataset.clone();
        let requirements = Requirements { device: None, memory_mib: 0, dataset, labels: Vec::new() };
        let placement = placements::id(tx, &requirements).await?;
        submit::insert_job(tx, &checked.planned, now_us).await?;
        let job_id: i64 = tx.one(sql::JOB_ID, args![key.as_str()]).await?.get("id")?;
        tx.run(sql::INSERT_WAITING_STATE, args![job_id, placement]).await?;
        found = tx.optional(sql::STANDING_OF_JOB, args![key.as_str()]).await?;
    }
    let found = found.ok_or(sqlx::Error::RowNotFound)?;
    let (job_id, attempt): (i64, u32) = (found.get("job_id")?, found.get("attempt")?);
    let state: String = found.get("state")?;
    if state == State::Leased.as_str() {
        return Ok(Leased::Not(Imported::Leased));
    }
    if state == State::Succeeded.as_str() {
        let stored = finished_jobs(tx, 0, job_id - 1, 1).await?.jobs.pop().ok_or(sqlx::Error::RowNotFound)?;
        let difference = exchange::difference(&stored.outcome, &checked.outcome);
        return Ok(Leased::Not(difference.map_or(Imported::Known, |field| Imported::Differs { field })));
    }
    let session = session(tx, checked, now_us).await?;
    tx.run(sql::LEASE_IMPORTED, args![job_id, session.id, now_us]).await?;
    let attempt = AttemptRef { key: key.clone(), attempt: attempt + 1 };
    tx.run(sql::INSERT_IMPORTED_ATTEMPT, args![job_id, attempt.attempt, session.id, now_us]).await?;
    Ok(Leased::Now(session, attempt, job_id))
}

/// The session that stands for the worker elsewhere: it has no slots and has ended.
async fn session(tx: &mut Transaction, checked: &Checked<'_>, now_us: i64) -> Result<SessionId, sqlx::Error> {
    let (worker, version, trainer) = (name(&checked.job.worker), name(&checked.job.version), &checked.outcome.trainer);
    if let Some(row) = tx.optional(sql::IMPORT_SESSION, args![&worker, &version, trainer]).await? {
        return Ok(SessionId { id: row.get("id")?, opened_us: row.get("opened_us")? });
    }
    let values = args![&worker, &version, trainer, 0_u32, false, now_us, "", None::<i64>, "[]", "[]"];
    let session = SessionId { id: tx.one(sql::INSERT_SESSION, values).await?.get("id")?, opened_us: now_us };
    tx.run(sql::END_SESSION, args![session.id, session.opened_us, now_us]).await?;
    Ok(session)
}

/// A name as it may end up on terminals: short, and without anything that steers one.
fn name(text: &str) -> String {
    printable(text).chars().take(NAME_MAX_CHARS).collect()
}

/// Checks all that can be told without the database.
fn check(job: &FinishedJob) -> Result<Checked<'_>, ImportRefusal> {
    let (config, network): (JobConfig, Network) = job.network()?;
    // A trainer's name is compared and decides what may stand beside it, so it is taken as it is or not at all.
    let trainer = &job.outcome.trainer;
    if trainer.is_empty() {
        return Err(DecodeError::Missing("trainer").into());
    }
    if name(trainer) != *trainer {
        let value = format!("`{}`", printable(&trainer.chars().take(40).collect::<String>()));
        return Err(DecodeError::Range { field: "trainer", value, expected: "at most 200 printable characters" }.into());
    }
    // As it would arrive from a worker.
    let outcome = Outcome::try_from(v1::Outcome::from(job.outcome.clone()))?;
    if job.epochs.len() > EPOCHS_MOST {
        let value = format!("{} values", job.epochs.len());
        return Err(DecodeError::Range { field: "epochs", value, expected: "at most 1000000 values" }.into());
    }
    for epoch in &job.epochs {
        let progress = v1::Progress {
            epoch: epoch.epoch,
            n_epochs: 0,
            loss: epoch.loss.unwrap_or(f64::NAN),
            exit_accuracy: epoch.exit_accuracy.clone(),
            images_per_second: epoch.images_per_second,
        };
        offramp_domain::outcome::Progress::try_from(progress)?;
    }
    Ok(Checked { job, planned: SweepJob { config, network: std::sync::Arc::new(network) }, outcome })
}
