//! Per-sample records as Parquet files: what every exit of a trained network said of every sample of the calibration and test splits.
//!
//! A file stands for itself: it says which job it is of and how that was configured, so that any exit policy can be evaluated from it alone,
//! years later and without a GPU, here or in any other tool that reads Parquet.
//!
//! - [`write`](fn@write): from records to a file, complete or not there at all.
//! - [`read`](fn@read): back, refusing whatever is not such a file.
//! - [`layout`]: the columns and their meaning.
//!
//! Besides, [`table`] has rows of any view as Parquet files, and [`archive`] whole results, for export and import.

pub mod archive;
pub mod layout;
mod read;
pub mod table;
#[cfg(test)]
mod tests;
mod write;

use offramp_domain::job::{JobConfig, JobKey};

pub use read::{ReadError, read};
pub use write::{WriteError, write};

/// What records are of.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The job.
    pub job: JobKey,
    /// The attempt that they come from, from 1.
    pub attempt: u32,
    /// What trained, e.g. `burn-flex` or `simulated`.
    pub trainer: String,
    /// The job's configuration: with it, the network and its costs.
    pub config: JobConfig,
}

/// The name of a file: no two attempts share one, so that a worker that lost its lease cannot harm the next one's.
pub fn file_name(job: &JobKey, attempt: u32) -> String {
    format!("{}-{attempt}.parquet", job.as_str())
}
