//! Workers' sessions.

use offramp_domain::placement::Capabilities;

use super::engine::args;
use super::error::{DatabaseError, Passing};
use super::{Store, Transaction, placements, sql};

/// Open sessions of one database. A fleet has thousands of workers, not tens of thousands; beyond, somebody opens them in a loop.
const SESSIONS_MOST: i64 = 10_000;
/// A session that was heard of within this time has a worker behind it.
const HEARD_RECENTLY_US: i64 = 30_000_000;

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
    /// What its slots can run.
    pub capabilities: Capabilities,
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
    /// There are more than anybody needs.
    #[error("{SESSIONS_MOST} sessions are open already")]
    TooMany,
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl OpenSessionError {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Trainer { .. } => {
                Some("keep them in a database of their own: `--database` where the coordinator is started, or with `up`")
            }
            Self::TooMany => Some("end workers that are not needed; sessions of those that are gone lapse after ten minutes"),
            Self::Database(error) => error.hint(),
        }
    }
}

impl Passing for OpenSessionError {
    fn is_passing(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_passing())
    }
}

impl From<sqlx::Error> for OpenSessionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// A session that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedSession {
    /// Its name.
    pub id: SessionId,
    /// Other sessions of the same worker's name that were heard of a moment ago: a cloned machine, or a worker that came back.
    pub n_namesakes: u32,
}

impl Store {
    /// Opens a session.
    ///
    /// # Errors
    /// When the worker's trainer is simulated and the database is one of real results, or the other way round; when there are too many; and
    /// those of the database.
    pub async fn open_session(&self, session: &NewSession, now_us: i64) -> Result<OpenedSession, OpenSessionError> {
        self.persist(|| async {
            let mut tx = self.begin().await?;
            if let Some(present) = tx.optional(sql::FOREIGN_TRAINER, args![&session.trainer]).await? {
                return Err(OpenSessionError::Trainer { asked: session.trainer.clone(), present: present.get("trainer")? });
            }
            let count = tx.one(sql::COUNT_SESSIONS, args![&session.worker, now_us - HEARD_RECENTLY_US]).await?;
            if count.get::<i64>("n_open")? >= SESSIONS_MOST {
                return Err(OpenSessionError::TooMany);
            }
            let [device, memory_mib, datasets, labels] = placements::offered(&session.capabilities);
            let [worker, version, trainer, n_slots, embedded, opened_us] =
                args![&session.worker, &session.version, &session.trainer, session.n_slots, session.embedded, now_us];
            let values = [worker, version, trainer, n_slots, embedded, opened_us, device, memory_mib, datasets, labels];
            let id = tx.one(sql::INSERT_SESSION, values).await?.get("id")?;
            tx.commit().await?;
            Ok(OpenedSession { id: SessionId { id, opened_us: now_us }, n_namesakes: count.get("n_namesakes")? })
        })
        .await
    }

    /// Sends the open sessions of a worker home: after their running jobs, or at once. Answers with the number of sessions that this changed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn drain(&self, worker: &str, give_back: bool) -> Result<u64, DatabaseError> {
        self.persist(|| async {
            let mut tx = self.begin().await?;
            let drained = tx.run(sql::DRAIN_WORKERS, args![worker, if give_back { 2_i64 } else { 1 }]).await?;
            tx.commit().await?;
            Ok(drained)
        })
        .await
    }
}

/// Ends a session; whether it was open.
pub(super) async fn end(tx: &mut Transaction, session: SessionId, now_us: i64) -> Result<bool, sqlx::Error> {
    Ok(tx.run(sql::END_SESSION, args![session.id, session.opened_us, now_us]).await? == 1)
}
