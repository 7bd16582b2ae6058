//! Archives: folders with all that it takes to bring finished jobs into another database, as tables that any tool reads.
//!
//! | file | one row |
//! |---|---|
//! | `sweeps.parquet` | a sweep: its key, its name and its file, verbatim |
//! | `jobs.parquet` | a finished job: key, configuration, who trained it, the result as a whole, and how many rows the other files have of it |
//! | `exits.parquet` | an exit of a result |
//! | `operating-points.parquet` | an operating point of a result |
//! | `epochs.parquet` | an epoch of the run that a result is of |
//!
//! Rows of jobs are in one order in all files, so that they are written and read side by side, in memory that does not grow with them. The files of
//! an archive have one `offramp.archive` in their metadata, which no other archive has.

mod read;
#[cfg(test)]
mod tests;
mod write;

use offramp_domain::table::{Column, Kind};

pub use read::{ArchiveError, ArchiveReader};
pub use write::{ArchiveWriter, WriteArchiveError};

/// Names the archive that a file belongs to.
pub const KEY_ARCHIVE: &str = "offramp.archive";

/// A file of an archive: its name, and its columns.
struct Part {
    file: &'static str,
    columns: &'static [Column],
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, nullable: false }
}

const fn maybe(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, nullable: true }
}

const SWEEPS: Part = Part {
    file: "sweeps.parquet",
    columns: &[column("key", Kind::Text), column("name", Kind::Text), column("text", Kind::Text), column("created_us", Kind::Time)],
};

const JOBS: Part = Part {
    file: "jobs.parquet",
    columns: &[
        column("job_key", Kind::Text),
        column("config", Kind::Json),
        column("worker", Kind::Text),
        column("version", Kind::Text),
        column("trainer", Kind::Text),
        column("finished_us", Kind::Time),
        column("n_train", Kind::Integer),
        column("n_calibration", Kind::Integer),
        column("n_test", Kind::Integer),
        column("train_seconds", Kind::Real),
        maybe("records_path", Kind::Text),
        maybe("records_bytes", Kind::Integer),
        maybe("records_sha256", Kind::Text),
        column("n_exits", Kind::Integer),
        column("n_operating_points", Kind::Integer),
        column("n_epochs", Kind::Integer),
    ],
};

const EXITS: Part = Part {
    file: "exits.parquet",
    columns: &[
        column("job_key", Kind::Text),
        column("exit", Kind::Integer),
        column("accuracy", Kind::Real),
        column("loss", Kind::Real),
        column("calibration_accuracy", Kind::Real),
        column("calibration_loss", Kind::Real),
        maybe("top5_accuracy", Kind::Real),
        maybe("ece", Kind::Real),
        maybe("calibration_top5_accuracy", Kind::Real),
        maybe("calibration_ece", Kind::Real),
    ],
};

const POINTS: Part = Part {
    file: "operating-points.parquet",
    columns: &[
        column("job_key", Kind::Text),
        column("point", Kind::Integer),
        column("policy", Kind::Text),
        column("setting", Kind::Real),
        column("macs_cascade", Kind::Real),
        column("macs_selected", Kind::Real),
        column("accuracy", Kind::Real),
        column("calibration_accuracy", Kind::Real),
        column("calibration_macs_cascade", Kind::Real),
        column("exit_shares", Kind::Json),
        maybe("latency_us", Kind::Real),
        maybe("images_per_second", Kind::Real),
    ],
};

const EPOCHS: Part = Part {
    file: "epochs.parquet",
    columns: &[
        column("job_key", Kind::Text),
        column("epoch", Kind::Integer),
        maybe("loss", Kind::Real),
        column("exit_accuracy", Kind::Json),
        column("images_per_second", Kind::Real),
    ],
};

/// Every file; the jobs come last, so that a folder with them has the others.
const PARTS: [&Part; 5] = [&SWEEPS, &EXITS, &POINTS, &EPOCHS, &JOBS];
