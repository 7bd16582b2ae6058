//! The table from errors to status codes. A message's second line, where there is one, says what to do.

use std::sync::atomic::{AtomicBool, Ordering};

use offramp_proto::convert::DecodeError;
use tonic::{Code, Status};

use crate::store::{CompleteError, DatabaseError, LookupError, OpenSessionError, SessionError};

/// Whether the last word on the database was that it fails. Of the process, not of a coordinator: it decides over log lines alone.
static DATABASE_FAILS: AtomicBool = AtomicBool::new(false);

/// Notes that something was written.
pub(super) fn database_works() {
    if DATABASE_FAILS.swap(false, Ordering::Relaxed) {
        // As loud as the error before it: whoever saw that one waits for this.
        tracing::warn!("the database works again");
    }
}

impl From<DatabaseError> for Status {
    fn from(error: DatabaseError) -> Self {
        let code = match &error {
            DatabaseError::Full(_) => Code::ResourceExhausted,
            // Not UNAVAILABLE, which clients take for a coordinator that is not there.
            DatabaseError::Busy(_) | DatabaseError::Overloaded(_) => Code::Aborted,
            DatabaseError::Closed(_) => Code::Unavailable,
            DatabaseError::Damaged(_) | DatabaseError::NotADatabase(_) => Code::DataLoss,
            DatabaseError::ReadOnly(_) | DatabaseError::Io(_) | DatabaseError::Statement(_) => Code::Internal,
        };
        let message = crate::chain(&error);
        // The client is told as well, but it is this side that can do something. Once: a full disk fails every call.
        if DATABASE_FAILS.swap(true, Ordering::Relaxed) {
            tracing::debug!(error = message, "database error, again");
        } else {
            tracing::error!(error = message, "database error");
        }
        Self::new(code, with_hint(message, error.hint()))
    }
}

impl From<LookupError> for Status {
    fn from(error: LookupError) -> Self {
        let code = match error {
            LookupError::NoSweeps | LookupError::NoSuchSweep(_) | LookupError::NoSuchJob(_) => Code::NotFound,
            LookupError::AmbiguousJob { .. } => Code::InvalidArgument,
            LookupError::Database(error) => return error.into(),
        };
        Self::new(code, with_hint(error.to_string(), error.hint()))
    }
}

impl From<OpenSessionError> for Status {
    fn from(error: OpenSessionError) -> Self {
        match error {
            OpenSessionError::Trainer { .. } => Self::failed_precondition(with_hint(error.to_string(), error.hint())),
            OpenSessionError::Database(error) => error.into(),
        }
    }
}

impl From<SessionError> for Status {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Gone(_) => Self::not_found(error.to_string()),
            SessionError::Database(error) => error.into(),
        }
    }
}

impl From<CompleteError> for Status {
    fn from(error: CompleteError) -> Self {
        match error {
            CompleteError::ExitCount { .. } | CompleteError::Cost { .. } | CompleteError::Trainer { .. } => {
                Self::invalid_argument(error.to_string())
            }
            CompleteError::Database(error) => error.into(),
        }
    }
}

/// A message that could not be taken.
pub(super) fn malformed(error: &DecodeError) -> Status {
    Status::invalid_argument(error.to_string())
}

fn with_hint(message: String, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("{message}\nhint: {hint}"),
        None => message,
    }
}
