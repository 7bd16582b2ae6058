//! The table from errors to status codes. A message's second line, where there is one, says what to do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use offramp_proto::convert::DecodeError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::dispatch::DispatchError;
use crate::store::{ComparisonError, ControlError, DatabaseError, LookupError, OpenSessionError, SessionError, SubmitError};

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
        database(&error)
    }
}

/// When a client may try again where the database is away: outages last for seconds.
const RETRY_AFTER: Duration = Duration::from_secs(1);

fn database(error: &DatabaseError) -> Status {
    let code = match error {
        DatabaseError::Full(_) => Code::ResourceExhausted,
        // Not UNAVAILABLE, which clients take for a coordinator that is not there.
        DatabaseError::Busy(_) | DatabaseError::Contended(_) => Code::Aborted,
        // A server that stands still lends no connection, and neither does one that has too much to do: later it may.
        DatabaseError::Closed(_) | DatabaseError::Unreachable(_) | DatabaseError::Overloaded(_) => Code::Unavailable,
        DatabaseError::Damaged(_) | DatabaseError::NotADatabase(_) => Code::DataLoss,
        DatabaseError::ReadOnly(_) | DatabaseError::Io(_) | DatabaseError::Refused(_) | DatabaseError::Statement(_) => Code::Internal,
    };
    failing(code, with_hint(crate::chain(error), error.hint()))
}

/// A status that is the database's fault.
fn failing(code: Code, message: String) -> Status {
    // The client is told as well, but it is this side that can do something. Once: a full disk fails every call.
    if DATABASE_FAILS.swap(true, Ordering::Relaxed) {
        tracing::debug!(error = message, "database error, again");
    } else {
        tracing::error!(error = message, "database error");
    }
    if code == Code::Unavailable {
        return Status::with_error_details(code, message, ErrorDetails::with_retry_info(Some(RETRY_AFTER)));
    }
    Status::new(code, message)
}

impl From<DispatchError> for Status {
    fn from(error: DispatchError) -> Self {
        match &error {
            DispatchError::Session(gone) => match &**gone {
                SessionError::Gone(_) => Self::not_found(gone.to_string()),
                SessionError::Database(error) => database(error),
            },
            DispatchError::Database(error) => database(error),
            DispatchError::Hangs => failing(Code::Unavailable, error.to_string()),
            DispatchError::Ending => ending(),
            DispatchError::Crowded => Self::resource_exhausted(error.to_string()),
        }
    }
}

impl From<ControlError> for Status {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Over { .. }
            | ControlError::NotOver { .. }
            | ControlError::HasResult(_)
            | ControlError::Running(_)
            | ControlError::RunningJobs { .. }
            | ControlError::OnlyJob { .. }
            | ControlError::Cancelled(_) => Self::failed_precondition(with_hint(error.to_string(), error.hint())),
            ControlError::Database(error) => error.into(),
        }
    }
}

impl From<SubmitError> for Status {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Cycle(_) => Self::failed_precondition(with_hint(error.to_string(), error.hint())),
            SubmitError::Database(error) => error.into(),
        }
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

impl From<ComparisonError> for Status {
    fn from(error: ComparisonError) -> Self {
        match error {
            ComparisonError::Lookup(error) => error.into(),
            ComparisonError::Config { .. } | ComparisonError::File(_) => Self::data_loss(crate::chain(&error)),
            _ => {
                let field = match &error {
                    ComparisonError::Factor(_) => "by",
                    ComparisonError::Metric(_) => "metric",
                    ComparisonError::Filter(_) => "where",
                    ComparisonError::Cost(_) => "at_cost",
                    _ => "sweeps",
                };
                let hint = error.hint();
                at_fault(field, with_hint(error.to_string(), hint.as_deref()))
            }
        }
    }
}

impl From<OpenSessionError> for Status {
    fn from(error: OpenSessionError) -> Self {
        match error {
            OpenSessionError::Trainer { .. } => Self::failed_precondition(with_hint(error.to_string(), error.hint())),
            OpenSessionError::TooMany => Self::resource_exhausted(with_hint(error.to_string(), error.hint())),
            OpenSessionError::Database(error) => error.into(),
        }
    }
}

/// What a request hears that the end of the coordinator cuts short.
pub(crate) fn ending() -> Status {
    let details = ErrorDetails::with_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(Code::Unavailable, "the coordinator is shutting down", details)
}

/// A message that could not be taken.
pub(super) fn malformed(error: &DecodeError) -> Status {
    let (DecodeError::Missing(field) | DecodeError::Range { field, .. }) = error;
    at_fault(field, error.to_string())
}

/// A field that holds what it cannot. Programs find its name in the details, people in the message.
pub(super) fn at_fault(field: &str, message: String) -> Status {
    let details = ErrorDetails::with_bad_request_violation(field, message.clone());
    Status::with_error_details(Code::InvalidArgument, message, details)
}

fn with_hint(message: String, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("{message}\nhint: {hint}"),
        None => message,
    }
}
