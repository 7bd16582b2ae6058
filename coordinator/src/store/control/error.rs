//! Why people are not given what they ask for.

use offramp_domain::job::JobKey;
use offramp_domain::lifecycle::State;

use crate::store::error::{DatabaseError, Passing};

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The job is over.
    #[error("job `{}` is {} already", key.id(), state.as_str())]
    Over {
        /// The job.
        key: JobKey,
        /// How it ended.
        state: State,
    },
    /// The job has not ended.
    #[error("job `{}` is {}: there is nothing to retry", key.id(), state.as_str())]
    NotOver {
        /// The job.
        key: JobKey,
        /// Where it stands.
        state: State,
    },
    /// The job has its result.
    #[error("job `{}` has its result, which is accepted once", .0.id())]
    HasResult(JobKey),
    /// The job is being worked on.
    #[error("job `{}` is being worked on", .0.id())]
    Running(JobKey),
    /// Some of the sweep's jobs are being worked on.
    #[error("{n_jobs} of the jobs that would go with sweep {sweep} are being worked on, job `{}` among them", key.id())]
    RunningJobs {
        /// The sweep.
        sweep: i64,
        /// How many.
        n_jobs: usize,
        /// One of them.
        key: JobKey,
    },
    /// Without the job, nothing would be left of a sweep.
    #[error("job `{}` is the only one of sweep {sweep}", key.id())]
    OnlyJob {
        /// The job.
        key: JobKey,
        /// The sweep.
        sweep: i64,
    },
    /// A cancelled sweep does not come back by itself.
    #[error("sweep {0} was cancelled")]
    Cancelled(i64),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl ControlError {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::HasResult(_) => Some(
                "`offramp job retry --again ID` takes the result back and trains the job anew; a sweep of another name with `reuse = false` \
                 keeps both",
            ),
            Self::Running(_) => Some("cancel it first (`offramp job cancel ID`)"),
            Self::RunningJobs { .. } => Some("cancel the sweep first (`offramp sweep cancel SWEEP`), or wait until they are over"),
            Self::OnlyJob { .. } => Some("`offramp sweep delete SWEEP` deletes the sweep with it"),
            Self::Over { .. } => Some("`offramp job retry ID` queues a job again that ended without a result"),
            Self::NotOver { .. } => Some("`offramp job explain ID` says why it is not running"),
            Self::Cancelled(_) => Some("`offramp sweep retry SWEEP --cancelled` takes its jobs up again"),
            Self::Database(error) => error.hint(),
        }
    }
}

impl Passing for ControlError {
    fn is_passing(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_passing())
    }
}

impl From<sqlx::Error> for ControlError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
