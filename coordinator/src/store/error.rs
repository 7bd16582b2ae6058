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
            Self::Full(_) => Some("free some space, or move the database with `--database sqlite:PATH`; nothing that was accepted is lost"),
            Self::ReadOnly(_) => Some("make the file and its directory writable, or choose another with `--database sqlite:PATH`"),
            Self::Busy(_) => Some("end the program that writes to the file, then try again"),
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
            _ => Self::Statement(error),
        }
    }
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
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
