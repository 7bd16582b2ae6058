//! Leases that end without a word from their worker, and what is said about time.

use offramp_domain::lifecycle::{self, Event};

use super::batch::AttemptRef;
use super::engine::{Row, args};
use super::error::DatabaseError;
use super::report::{self, End, Held};
use super::sessions::{self, SessionId};
use super::{Store, Transaction, claim, sql};

/// How long a session without leases may be silent: longer than any long poll and most network outages.
const SESSION_LAPSES_US: i64 = 600_000_000;

/// What the janitor found.
#[derive(Debug, Default)]
pub struct Expired {
    /// Attempts that were lost.
    pub lost: Vec<AttemptRef>,
    /// Whether jobs have become claimable whose back-off is over.
    pub promoted: bool,
}

impl Store {
    /// Ends a session and takes back what it holds. A session that is over already stays so. Answers with the attempts taken back.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close_session(&self, session: SessionId, now_us: i64) -> Result<Vec<AttemptRef>, DatabaseError> {
        self.persist(|| async {
            let mut tx = self.begin().await?;
            if !sessions::end(&mut tx, session, now_us).await? {
                return Ok(Vec::new());
            }
            let rows = tx.all(sql::HELD_BY_SESSION, args![session.id]).await?;
            let given_back = self.end_all(&mut tx, &rows, Event::Preempted, "the worker left", now_us).await?;
            tx.commit().await?;
            Ok(given_back)
        })
        .await
    }

    /// Takes back every lease that ran out, lets back-offs end, and ends sessions that fell silent.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn expire(&self, now_us: i64) -> Result<Expired, DatabaseError> {
        self.persist(|| async {
            let mut tx = self.begin().await?;
            let rows = tx.all(sql::HELD_TOO_LONG, args![now_us]).await?;
            let lost = self.end_all(&mut tx, &rows, Event::Lost, "the lease ran out", now_us).await?;
            let promoted = tx.run(sql::PROMOTE, args![now_us]).await? > 0;
            tx.run(sql::LAPSE_SESSIONS, args![now_us, now_us - SESSION_LAPSES_US]).await?;
            tx.commit().await?;
            Ok(Expired { lost, promoted })
        })
        .await
    }

    /// Takes back at once whatever workers in an earlier coordinator's process held: they died with it. For a coordinator's start, before it
    /// has sessions of its own. Answers with the attempts that were lost.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lose_embedded(&self, now_us: i64) -> Result<Vec<AttemptRef>, DatabaseError> {
        let mut tx = self.begin().await?;
        let rows = tx.all(sql::HELD_BY_EMBEDDED, []).await?;
        let lost = self.end_all(&mut tx, &rows, Event::Lost, "the process with coordinator and worker ended", now_us).await?;
        tx.run(sql::END_EMBEDDED_SESSIONS, args![now_us]).await?;
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
        tx.run(sql::CAP_LEASES, args![now_us + lease_us]).await?;
        tx.run(sql::CAP_BACK_OFFS, args![now_us + longest_back_off_us]).await?;
        Ok(tx.commit().await?)
    }

    /// Lets every lease last for `lease_us` from now at least: while no heartbeat could arrive, none was missed. Workers that were not heard of
    /// since `heard_since_us`, when others could be, are not spared.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn extend_leases(&self, now_us: i64, lease_us: i64, heard_since_us: i64) -> Result<(), DatabaseError> {
        self.persist(|| async {
            let mut tx = self.begin().await?;
            tx.run(sql::EXTEND_LEASES, args![now_us + lease_us, heard_since_us]).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// When a worker was last heard of, where one is connected.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn last_heard_us(&self) -> Result<Option<i64>, DatabaseError> {
        Ok(self.reader.pool().one(sql::LAST_HEARD, []).await?.get("seen_us")?)
    }

    /// Lets the back-offs end that are over; whether there was any.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn promote(&self, now_us: i64) -> Result<bool, DatabaseError> {
        self.persist(|| async {
            let mut tx = self.begin().await?;
            let promoted = tx.run(sql::PROMOTE, args![now_us]).await? > 0;
            tx.commit().await?;
            Ok(promoted)
        })
        .await
    }

    async fn end_all(
        &self,
        tx: &mut Transaction,
        rows: &[Row],
        event: Event,
        message: &str,
        now_us: i64,
    ) -> Result<Vec<AttemptRef>, sqlx::Error> {
        let ends: Vec<End<'_>> = rows
            .iter()
            .map(|row| {
                let attempt = claim::attempt_ref(row)?;
                let held = Held {
                    job_id: row.get("job_id")?,
                    attempt,
                    n_failures: row.get("n_failures")?,
                    n_crashed_elsewhere: 0,
                    data_elsewhere: false,
                };
                Ok(End { held, event, message })
            })
            .collect::<Result<_, sqlx::Error>>()?;
        report::settle(tx, &ends, Vec::new(), self.limits, now_us).await?;
        Ok(ends.into_iter().map(|end| end.held.attempt).collect())
    }
}
