//! Why results are not taken.

/// Why a result was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not of this job's network.
    #[error("a result of {found} exits for job `{job}`, whose network has {expected}")]
    ExitCount {
        /// The job's id.
        job: String,
        /// Exits in the result.
        found: usize,
        /// Exits of the network.
        expected: usize,
    },
    /// It is not of the trainer that the worker introduced: what keeps simulated and real results apart would be worth nothing.
    #[error("a result of trainer `{}` from a worker of trainer `{}`", found.escape_debug(), expected.escape_debug())]
    Trainer {
        /// The result's trainer.
        found: String,
        /// The session's.
        expected: String,
    },
    /// A point's expected cost is not what its exit shares cost in this job's network.
    #[error(
        "`operating_point.{field}` is {found} in point {point} of a result for job `{job}`, whose exits cost {expected} with these shares"
    )]
    Cost {
        /// The job's id.
        job: String,
        /// The point's place in the result, from 0.
        point: usize,
        /// `macs_cascade` or `macs_selected`.
        field: &'static str,
        /// The cost in the result.
        found: String,
        /// The cost that follows.
        expected: String,
    },
}
