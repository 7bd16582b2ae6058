//! Who works on what: claims, renewals, and every way a lease ends but success.

use offramp_domain::job::JobKey;
use offramp_domain::lifecycle::{self, Event, State};
use offramp_domain::outcome::{FailureKind, Progress};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::complete::Report;
use super::error::DatabaseError;
use super::sessions::{self, SessionError, SessionId};
use super::{Store, Transaction, sql};

/// How long a session without leases may be silent: longer than any long poll and most network outages.
const SESSION_LAPSES_US: i64 = 600_000_000;
/// Longest stored failure message, characters: a stack trace, not a log.
const MESSAGE_MAX_CHARS: usize = 8_000;

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

impl Store {
    /// Whether a job, of a certain sweep or of any, can be claimed now. Reads only, so that idle workers do not queue up for the write lock.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn claimable(&self, sweep: Option<i64>, now_us: i64) -> Result<bool, DatabaseError> {
        let found: Option<i64> = sqlx::query_scalar(sql::CLAIMABLE).bind(now_us).bind(sweep).fetch_optional(self.reader.pool()).await?;
        Ok(found.is_some())
    }

    /// Leases the oldest claimable jobs, at most `max_jobs`, of a certain sweep or of any, to a session for `lease_us`.
    ///
    /// # Errors
    /// When the session is not open, and those of the database.
    pub async fn claim(
        &self,
        session: SessionId,
        max_jobs: u32,
        sweep: Option<i64>,
        now_us: i64,
        lease_us: i64,
    ) -> Result<Vec<ClaimedJob>, SessionError> {
        let claimed = lifecycle::step(State::Queued, Event::Claimed, 0, self.max_failures).expect("a queued job can be claimed");
        let mut tx = self.begin().await?;
        sessions::touch(&mut tx, session, now_us).await?;
        let mut rows = sqlx::query(sql::CLAIM)
            .bind(session.id)
            .bind(now_us + lease_us)
            .bind(now_us)
            .bind(max_jobs)
            .bind(claimed.state.as_str())
            .bind(sweep)
            .fetch_all(&mut *tx)
            .await?
            .iter()
            .map(|row| Ok((row.try_get("job_id")?, row.try_get("config")?, attempt_ref(row)?)))
            .collect::<Result<Vec<(i64, String, AttemptRef)>, sqlx::Error>>()?;
        // RETURNING promises no order.
        rows.sort_by_key(|(job_id, ..)| *job_id);
        for (job_id, _, attempt) in &rows {
            let insert = sqlx::query(sql::INSERT_ATTEMPT).bind(job_id).bind(attempt.attempt).bind(session.id).bind(now_us);
            insert.execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(rows.into_iter().map(|(_, config_json, attempt)| ClaimedJob { attempt, config_json }).collect())
    }

    /// Renews leases for `lease_us` from now, records finished epochs, and answers with the attempts that the session does not hold.
    ///
    /// # Errors
    /// When the session is not open, and those of the database.
    pub async fn heartbeat(&self, session: SessionId, beats: &[Beat], now_us: i64, lease_us: i64) -> Result<Vec<AttemptRef>, SessionError> {
        let mut tx = self.begin().await?;
        sessions::touch(&mut tx, session, now_us).await?;
        let mut stale = Vec::new();
        for beat in beats {
            let AttemptRef { key, attempt } = &beat.attempt;
            let renewed: Option<i64> = sqlx::query_scalar(sql::RENEW)
                .bind(key.as_str())
                .bind(attempt)
                .bind(session.id)
                .bind(now_us + lease_us)
                .fetch_optional(&mut *tx)
                .await?;
            match (renewed, &beat.progress) {
                (None, _) => stale.push(beat.attempt.clone()),
                (Some(job_id), Some(progress)) if progress.epoch > 0 => insert_epoch(&mut tx, job_id, *attempt, progress).await?,
                (Some(_), _) => {}
            }
        }
        tx.commit().await?;
        Ok(stale)
    }

    /// Takes the report of a failed attempt: the job is queued again after a back-off, or ends.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn fail(
        &self,
        session: SessionId,
        attempt: &AttemptRef,
        kind: FailureKind,
        message: &str,
        now_us: i64,
    ) -> Result<Report, DatabaseError> {
        let mut tx = self.begin().await?;
        let event = Event::Failed(kind);
        let Some(held) = held(&mut tx, session, attempt).await? else {
            return Ok(Report::repeated(attempt_outcome(&mut tx, attempt).await?.as_deref() == Some(outcome_name(event))));
        };
        if !settle(&mut tx, &held, event, message, self.max_failures, now_us).await? {
            return Ok(Report::Stale);
        }
        tx.commit().await?;
        Ok(Report::Accepted)
    }

    /// Queues the failed jobs of a sweep again, and answers how many there were.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn retry_failed(&self, sweep: i64, now_us: i64) -> Result<u64, DatabaseError> {
        // Forgetting failures is what the statement does besides.
        let next = lifecycle::step(State::Failed, Event::Retried, 0, self.max_failures).expect("a failed job can be retried");
        let mut tx = self.begin().await?;
        let retried = sqlx::query(sql::RETRY_FAILED).bind(sweep).bind(next.state.as_str()).bind(now_us).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(retried.rows_affected())
    }

    /// Takes leases back that a worker gives up. Those that it does not hold are passed over.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn release(&self, session: SessionId, attempts: &[AttemptRef], now_us: i64) -> Result<(), DatabaseError> {
        let mut tx = self.begin().await?;
        for attempt in attempts {
            if let Some(held) = held(&mut tx, session, attempt).await? {
                settle(&mut tx, &held, Event::Released, "", self.max_failures, now_us).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// Ends a session and takes back what it holds. A session that is over already stays so. Answers with the attempts taken back.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close_session(&self, session: SessionId, now_us: i64) -> Result<Vec<AttemptRef>, DatabaseError> {
        let mut tx = self.begin().await?;
        if !sessions::end(&mut tx, session, now_us).await? {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(sql::HELD_BY_SESSION).bind(session.id).fetch_all(&mut *tx).await?;
        let released = self.settle_all(&mut tx, &rows, Event::Released, "", now_us).await?;
        tx.commit().await?;
        Ok(released)
    }

    /// Takes back every lease that ran out, and ends sessions that fell silent. Answers with the attempts that were lost.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn expire(&self, now_us: i64) -> Result<Vec<AttemptRef>, DatabaseError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(sql::HELD_TOO_LONG).bind(now_us).fetch_all(&mut *tx).await?;
        let lost = self.settle_all(&mut tx, &rows, Event::Lost, "the lease ran out", now_us).await?;
        sqlx::query(sql::LAPSE_SESSIONS).bind(now_us).bind(now_us - SESSION_LAPSES_US).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(lost)
    }

    /// Takes back at once whatever workers in an earlier coordinator's process held: they died with it. For a coordinator's start, before it
    /// has sessions of its own. Answers with the attempts that were lost.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lose_embedded(&self, now_us: i64) -> Result<Vec<AttemptRef>, DatabaseError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(sql::HELD_BY_EMBEDDED).fetch_all(&mut *tx).await?;
        let lost = self.settle_all(&mut tx, &rows, Event::Lost, "the process with coordinator and worker ended", now_us).await?;
        sqlx::query(sql::END_EMBEDDED_SESSIONS).bind(now_us).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(lost)
    }

    /// Takes back what a clock that has since been set back promised too far ahead. For a coordinator's start: its clock does not jump while it
    /// runs.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn mend_times(&self, now_us: i64, lease_us: i64) -> Result<(), DatabaseError> {
        let longest_back_off_us = lifecycle::BACK_OFF_LONGEST_MS.cast_signed() * 1_000;
        let mut tx = self.begin().await?;
        sqlx::query(sql::CAP_LEASES).bind(now_us + lease_us).execute(&mut *tx).await?;
        sqlx::query(sql::CAP_BACK_OFFS).bind(now_us + longest_back_off_us).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Lets every lease last for `lease_us` from now at least: while no heartbeat could arrive, none was missed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn extend_leases(&self, now_us: i64, lease_us: i64) -> Result<(), DatabaseError> {
        let mut tx = self.begin().await?;
        sqlx::query(sql::EXTEND_LEASES).bind(now_us + lease_us).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    async fn settle_all(
        &self,
        tx: &mut Transaction,
        rows: &[SqliteRow],
        event: Event,
        message: &str,
        now_us: i64,
    ) -> Result<Vec<AttemptRef>, sqlx::Error> {
        let mut settled = Vec::with_capacity(rows.len());
        for row in rows {
            let held = Held::read(row)?;
            if settle(tx, &held, event, message, self.max_failures, now_us).await? {
                settled.push(held.attempt);
            }
        }
        Ok(settled)
    }
}

/// A lease that is held, as the transaction that ends it sees it.
pub(super) struct Held {
    pub(super) job_id: i64,
    pub(super) attempt: AttemptRef,
    n_failures: u32,
}

impl Held {
    fn read(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self { job_id: row.try_get("job_id")?, attempt: attempt_ref(row)?, n_failures: row.try_get("n_failures")? })
    }
}

/// The lease of an attempt, where this session holds it.
pub(super) async fn held(tx: &mut Transaction, session: SessionId, attempt: &AttemptRef) -> Result<Option<Held>, sqlx::Error> {
    let held = sqlx::query(sql::HELD).bind(attempt.key.as_str()).bind(attempt.attempt).bind(session.id).bind(session.opened_us);
    let row = held.fetch_optional(&mut **tx).await?;
    row.as_ref().map(Held::read).transpose()
}

/// Ends a lease as the lifecycle has it; whether it was still held.
pub(super) async fn settle(
    tx: &mut Transaction,
    held: &Held,
    event: Event,
    message: &str,
    max_failures: u32,
    now_us: i64,
) -> Result<bool, sqlx::Error> {
    let next = lifecycle::step(State::Leased, event, held.n_failures, max_failures).expect("claims and retries alone cannot end a lease");
    let n_failures = held.n_failures + u32::from(next.counts_as_failure);
    let back_off_us = if next.backs_off { lifecycle::back_off_ms(n_failures, seed(&held.attempt.key)).cast_signed() * 1_000 } else { 0 };
    let message: String = message.chars().take(MESSAGE_MAX_CHARS).collect();
    let error = match event {
        Event::Completed => Some(""),
        Event::Failed(_) => Some(message.as_str()),
        Event::Claimed | Event::Lost | Event::Released | Event::Retried => None,
    };
    let settled = sqlx::query(sql::SETTLE)
        .bind(held.job_id)
        .bind(held.attempt.attempt)
        .bind(next.state.as_str())
        .bind(n_failures)
        .bind(now_us + back_off_us)
        .bind(next.state.is_final().then_some(now_us))
        .bind(error)
        .execute(&mut **tx)
        .await?;
    if settled.rows_affected() != 1 {
        return Ok(false);
    }
    let end =
        sqlx::query(sql::END_ATTEMPT).bind(held.job_id).bind(held.attempt.attempt).bind(outcome_name(event)).bind(&message).bind(now_us);
    end.execute(&mut **tx).await?;
    Ok(true)
}

/// How an attempt ended, where it exists.
pub(super) async fn attempt_outcome(tx: &mut Transaction, attempt: &AttemptRef) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(sql::ATTEMPT_OUTCOME).bind(attempt.key.as_str()).bind(attempt.attempt).fetch_optional(&mut **tx).await
}

/// What the attempts table says after an event of the newest attempt at a job.
pub(super) const fn outcome_name(event: Event) -> &'static str {
    match event {
        Event::Claimed => "running",
        Event::Completed => "succeeded",
        // A retry leaves the attempt before it as it is.
        Event::Retried | Event::Failed(FailureKind::Failed) => "failed",
        Event::Failed(FailureKind::Diverged) => "diverged",
        Event::Failed(FailureKind::OutOfMemory) => "out-of-memory",
        Event::Lost => "lost",
        Event::Released => "released",
    }
}

async fn insert_epoch(tx: &mut Transaction, job_id: i64, attempt: u32, progress: &Progress) -> Result<(), sqlx::Error> {
    let exit_accuracy = serde_json::to_string(&progress.exit_accuracy).expect("numbers are JSON");
    sqlx::query(sql::INSERT_EPOCH)
        .bind(job_id)
        .bind(attempt)
        .bind(progress.epoch)
        .bind(progress.loss.is_finite().then_some(progress.loss))
        .bind(exit_accuracy)
        .bind(progress.images_per_second)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn attempt_ref(row: &SqliteRow) -> Result<AttemptRef, sqlx::Error> {
    let key: String = row.try_get("key")?;
    let key = JobKey::parse(&key).ok_or_else(|| sqlx::Error::Decode(format!("`{key}` is not a job key").into()))?;
    Ok(AttemptRef { key, attempt: row.try_get("attempt")? })
}

/// The first half of a job's key: as good as random, and the same on every coordinator.
fn seed(key: &JobKey) -> u64 {
    u64::from_str_radix(&key.as_str()[..16], 16).expect("a job key is hexadecimal digits")
}
