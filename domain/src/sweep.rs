//! Sweep files: parse, check, count, expand.

use crate::job::JobConfig;
use crate::problem::Problem;

/// A checked sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// Its name.
    pub name: String,
    /// Its jobs, in the order of the axes (the last axis varies fastest), each once.
    pub jobs: Vec<SweepJob>,
}

/// A job of a sweep, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepJob {
    /// The canonical configuration.
    pub config: JobConfig,
    /// The network it trains.
    pub network: crate::network::Network,
}

/// Reads a sweep file.
///
/// # Errors
/// All problems of the file at once.
pub fn parse(_text: &str) -> Result<Sweep, Vec<Problem>> {
    todo!()
}
