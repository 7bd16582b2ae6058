//! The exit codes, which are part of the program's interface.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// Something failed.
    Error = 1,
    /// The arguments or the sweep file are wrong; nothing was done.
    Usage = 2,
    /// No coordinator answers.
    Unreachable = 3,
    /// There is no such sweep, job or worker, or a list has no rows.
    NothingMatched = 4,
    /// The sweep is over and some of its jobs have no result, or so many failed that it was paused.
    FailedJobs = 5,
    /// The coordinator refuses this caller.
    NotAuthorised = 6,
    /// What was waited for did not happen in time (as `timeout` does).
    TimedOut = 124,
    /// A signal asked for the end (128 + SIGINT, as shells do).
    Interrupted = 130,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// What a refusal by the coordinator comes to.
    pub(crate) const fn of_status(code: tonic::Code) -> Self {
        match code {
            tonic::Code::Ok => Self::Ok,
            tonic::Code::InvalidArgument | tonic::Code::OutOfRange => Self::Usage,
            tonic::Code::Unavailable | tonic::Code::DeadlineExceeded => Self::Unreachable,
            tonic::Code::NotFound => Self::NothingMatched,
            tonic::Code::Unauthenticated | tonic::Code::PermissionDenied => Self::NotAuthorised,
            tonic::Code::Cancelled
            | tonic::Code::Unknown
            | tonic::Code::AlreadyExists
            | tonic::Code::ResourceExhausted
            | tonic::Code::FailedPrecondition
            | tonic::Code::Aborted
            | tonic::Code::Unimplemented
            | tonic::Code::Internal
            | tonic::Code::DataLoss => Self::Error,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_ones() {
        let codes = [
            (Exit::Ok, 0),
            (Exit::Error, 1),
            (Exit::Usage, 2),
            (Exit::Unreachable, 3),
            (Exit::NothingMatched, 4),
            (Exit::FailedJobs, 5),
            (Exit::NotAuthorised, 6),
            (Exit::TimedOut, 124),
            (Exit::Interrupted, 130),
        ];
        for (exit, code) in codes {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }

    #[test]
    fn refusals_map_to_exit_codes() {
        use tonic::Code;
        assert_eq!(Exit::of_status(Code::Unavailable), Exit::Unreachable);
        assert_eq!(Exit::of_status(Code::DeadlineExceeded), Exit::Unreachable);
        assert_eq!(Exit::of_status(Code::NotFound), Exit::NothingMatched);
        assert_eq!(Exit::of_status(Code::InvalidArgument), Exit::Usage);
        assert_eq!(Exit::of_status(Code::PermissionDenied), Exit::NotAuthorised);
        assert_eq!(Exit::of_status(Code::Unauthenticated), Exit::NotAuthorised);
        assert_eq!(Exit::of_status(Code::Internal), Exit::Error);
    }
}
