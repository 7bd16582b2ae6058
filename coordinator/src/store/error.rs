//! What can go wrong with the database itself.

/// The database could not do what it was asked, for a reason outside the request.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// No room for what is to be written.
    #[error("no room left for the database")]
    Full(#[source] sqlx::Error),
    /// The file or its directory does not let itself be written.
    #[error("the database cannot be written")]
    ReadOnly(#[source] sqlx::Error),
    /// Another process holds the database for longer than this one waits.
    #[error("the database is held by another process")]
    Busy(#[source] sqlx::Error),
    /// Another transaction was in the way, for longer than this one waits.
    #[error("another transaction was in the way")]
    Contended(#[source] sqlx::Error),
    /// Requests come faster than the disk takes them.
    #[error("the database does not keep up with the requests")]
    Overloaded(#[source] sqlx::Error),
    /// Reading or writing the file failed.
    #[error("the database file cannot be read or written")]
    Io(#[source] sqlx::Error),
    /// The file does not begin as a database does.
    #[error("the file is no database")]
    NotADatabase(#[source] sqlx::Error),
    /// The file begins as a database does, and does not go on so.
    #[error("the database file is damaged")]
    Damaged(#[source] sqlx::Error),
    /// The server does not answer, or has cut the connection.
    #[error("the database server cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// The server lets nobody of this name, or to this database, in.
    #[error("the database server refuses the connection")]
    Refused(#[source] sqlx::Error),
    /// The pool was closed: the coordinator is shutting down.
    #[error("the database is closed")]
    Closed(#[source] sqlx::Error),
    /// A statement failed; a bug, or a schema that was tampered with.
    #[error("a database statement failed")]
    Statement(#[source] sqlx::Error),
}

impl DatabaseError {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Full(_) => Some("free some space, or move the database with `--database`; nothing that was accepted is lost"),
            Self::Unreachable(_) => Some("is the PostgreSQL server running, and does the URL of `--database` name its host and port?"),
            Self::Refused(_) => Some("check user, password and database of the URL; `createdb NAME` makes a database"),
            Self::ReadOnly(_) => Some("make the file and its directory writable, or choose another with `--database sqlite:PATH`"),
            Self::Busy(_) => Some("end the program that holds the database, then try again"),
            Self::Contended(_) => Some("try again: other coordinators or sessions change the same rows at this moment"),
            Self::Io(_) => Some("check the disk's free space and the file's permissions; network file systems are not supported"),
            Self::NotADatabase(_) => Some("name another file with `--database sqlite:PATH`"),
            Self::Damaged(_) => Some("restore the file from a backup; `sqlite3 FILE .recover` saves what can be read"),
            Self::Overloaded(_) | Self::Closed(_) | Self::Statement(_) => None,
        }
    }
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut => return Self::Overloaded(error),
            sqlx::Error::PoolClosed => return Self::Closed(error),
            _ => {}
        }
        match primary_code(&error) {
            Some(FULL) => Self::Full(error),
            Some(READONLY | PERM) => Self::ReadOnly(error),
            Some(BUSY | LOCKED) => Self::Busy(error),
            Some(IOERR | CANTOPEN) => Self::Io(error),
            Some(CORRUPT) => Self::Damaged(error),
            Some(NOTADB) => Self::NotADatabase(error),
            _ => match sql_state(&error).as_deref() {
                Some(state) => Self::from_state(state, error),
                None if is_connection_error(&error) => Self::Unreachable(error),
                None => Self::Statement(error),
            },
        }
    }
}

impl DatabaseError {
    /// The meaning of a SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    fn from_state(state: &str, error: sqlx::Error) -> Self {
        match state {
            "53100" | "53200" => Self::Full(error),
            // Read-only, and missing rights.
            "25006" | "42501" => Self::ReadOnly(error),
            // A deadlock, a serialisation failure, a lock or a statement that took too long.
            "40001" | "40P01" | "55P03" | "57014" => Self::Contended(error),
            "53300" => Self::Overloaded(error),
            // Shut down, crashed, starting up, cut off.
            "57P01" | "57P02" | "57P03" | "57P05" | "08000" | "08003" | "08006" => Self::Unreachable(error),
            "28000" | "28P01" | "3D000" => Self::Refused(error),
            "58030" => Self::Io(error),
            "XX001" | "XX002" => Self::Damaged(error),
            _ => Self::Statement(error),
        }
    }

    /// Whether the same request may succeed in a moment, because it was another one's or the connection's fault.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Contended(_) | Self::Unreachable(_))
    }
}

/// An error that may stand for a passing one of the database.
pub(super) trait Passing {
    /// See [`DatabaseError::is_passing`].
    fn is_passing(&self) -> bool;
}

impl Passing for DatabaseError {
    fn is_passing(&self) -> bool {
        self.is_passing()
    }
}

/// Errors of the line to a server, not of what was asked of it.
fn is_connection_error(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed)
}

/// PostgreSQL's SQLSTATE: five characters, where SQLite has a number.
fn sql_state(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    (code.len() == 5 && error.as_database_error()?.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some())
        .then(|| code.into_owned())
}

// Primary result codes, https://www.sqlite.org/rescode.html
const PERM: i32 = 3;
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const NOTADB: i32 = 26;

/// SQLite's primary result code: the low byte of the extended one that the driver reports.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
