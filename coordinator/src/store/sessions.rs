//! Workers' sessions.

use super::error::DatabaseError;
use super::{Store, Transaction, sql};

/// Names a session. The time in it keeps a worker that outlived one database from speaking for another worker's session in the next. It is
/// no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId {
    pub(super) id: i64,
    pub(super) opened_us: i64,
}

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.id, self.opened_us)
    }
}

impl SessionId {
    /// Reads a session's name back; `None` where the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, opened_us) = text.split_once('-')?;
        Some(Self { id: id.parse().ok()?, opened_us: opened_us.parse().ok()? })
    }
}

/// A worker that introduces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Its name.
    pub worker: String,
    /// Its version.
    pub version: String,
    /// What runs its jobs.
    pub trainer: String,
    /// How many jobs it works on at once.
    pub n_slots: u32,
    /// Whether it lives in the coordinator's own process.
    pub embedded: bool,
}

/// Why a session could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Never opened here, ended, or lapsed. The worker opens another.
    #[error("session `{0}` is unknown or has ended")]
    Gone(SessionId),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<sqlx::Error> for SessionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Why a session was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenSessionError {
    /// Simulated results would stand beside real ones, and job keys do not tell them apart.
    #[error("trainer `{}` cannot work where trainer `{}` does: simulated and real results are kept apart", asked.escape_debug(), present.escape_debug())]
    Trainer {
        /// The worker's trainer.
        asked: String,
        /// One that has a result or an open session here.
        present: String,
    },
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl OpenSessionError {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Trainer { .. } => {
                Some("keep them in a database of their own: `--database sqlite:PATH` where the coordinator is started, or with `up`")
            }
            Self::Database(error) => error.hint(),
        }
    }
}

impl From<sqlx::Error> for OpenSessionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Store {
    /// Opens a session.
    ///
    /// # Errors
    /// When the worker's trainer is simulated and the database is one of real results, or the other way round, and those of the database.
    pub async fn open_session(&self, session: &NewSession, now_us: i64) -> Result<SessionId, OpenSessionError> {
        let mut tx = self.begin().await?;
        let foreign: Option<String> = sqlx::query_scalar(sql::FOREIGN_TRAINER).bind(&session.trainer).fetch_optional(&mut *tx).await?;
        if let Some(present) = foreign {
            return Err(OpenSessionError::Trainer { asked: session.trainer.clone(), present });
        }
        let id = sqlx::query_scalar(sql::INSERT_SESSION)
            .bind(&session.worker)
            .bind(&session.version)
            .bind(&session.trainer)
            .bind(session.n_slots)
            .bind(i64::from(session.embedded))
            .bind(now_us)
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(SessionId { id, opened_us: now_us })
    }

    /// Tells whether a session is open.
    ///
    /// # Errors
    /// When it is not, and those of the database.
    pub async fn check_session(&self, session: SessionId) -> Result<(), SessionError> {
        let found: Option<i64> =
            sqlx::query_scalar(sql::FIND_SESSION).bind(session.id).bind(session.opened_us).fetch_optional(self.reader.pool()).await?;
        found.map(|_| ()).ok_or(SessionError::Gone(session))
    }
}

/// Notes that a session was heard of.
pub(super) async fn touch(tx: &mut Transaction, session: SessionId, now_us: i64) -> Result<(), SessionError> {
    let touched = sqlx::query(sql::TOUCH_SESSION).bind(session.id).bind(session.opened_us).bind(now_us).execute(&mut **tx).await?;
    if touched.rows_affected() == 1 { Ok(()) } else { Err(SessionError::Gone(session)) }
}

/// Ends a session; whether it was open.
pub(super) async fn end(tx: &mut Transaction, session: SessionId, now_us: i64) -> Result<bool, sqlx::Error> {
    let ended = sqlx::query(sql::END_SESSION).bind(session.id).bind(session.opened_us).bind(now_us).execute(&mut **tx).await?;
    Ok(ended.rows_affected() == 1)
}
