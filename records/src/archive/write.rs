//! From finished jobs to an archive.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use offramp_domain::exchange::{Epoch, FinishedJob, SweepFile};
use offramp_domain::outcome::{ExitResult, OperatingPoint};
use offramp_domain::table::{Array, Batch, Value};

use super::{EPOCHS, EXITS, JOBS, KEY_ARCHIVE, PARTS, POINTS, Part, SWEEPS};
use crate::table::{TableWriter, WriteTableError};

/// Why an archive could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteArchiveError {
    /// There is an archive in the folder.
    #[error("there is an archive in `{}` already", .0.display())]
    Exists(PathBuf),
    /// The folder or a file could not be written.
    #[error("cannot write `{}`", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A table could not be written.
    #[error("cannot write `{}`", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: WriteTableError,
    },
}

/// Writes an archive. Its files appear when [`finish`](Self::finish) has written them all; without it nothing stays.
pub struct ArchiveWriter {
    folder: PathBuf,
    sweeps: Draft,
    jobs: Draft,
    exits: Draft,
    points: Draft,
    epochs: Draft,
}

impl ArchiveWriter {
    /// Begins an archive in a folder, which is made where it is not there. `id` is its own among all archives; with `replace`, one that is there makes
    /// way.
    ///
    /// # Errors
    /// When there is an archive already, or the folder cannot be written.
    pub fn create(folder: &Path, id: &str, replace: bool) -> Result<Self, WriteArchiveError> {
        fs::create_dir_all(folder).map_err(|source| WriteArchiveError::Io { path: folder.to_owned(), source })?;
        if !replace && PARTS.iter().any(|part| folder.join(part.file).exists()) {
            return Err(WriteArchiveError::Exists(folder.to_owned()));
        }
        let draft = |part| Draft::create(folder, part, id);
        Ok(Self {
            folder: folder.to_owned(),
            sweeps: draft(&SWEEPS)?,
            jobs: draft(&JOBS)?,
            exits: draft(&EXITS)?,
            points: draft(&POINTS)?,
            epochs: draft(&EPOCHS)?,
        })
    }

    /// Adds a sweep.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn add_sweep(&mut self, sweep: &SweepFile) -> Result<(), WriteArchiveError> {
        let SweepFile { key, name, text, created_us } = sweep;
        self.sweeps.add([[Value::Text(key.clone()), Value::Text(name.clone()), Value::Text(text.clone()), Value::Integer(*created_us)]])
    }

    /// Adds a finished job.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn add_job(&mut self, job: &FinishedJob) -> Result<(), WriteArchiveError> {
        let FinishedJob { key, config_json, worker, version, finished_us, outcome, epochs } = job;
        let key = || Value::Text(key.as_str().to_owned());
        let count = |n: usize| Value::Integer(n as i64);
        let records = outcome.records.as_ref();
        self.exits.add(outcome.exits.iter().enumerate().map(|(index, exit)| exit_row(key(), index, exit)))?;
        self.points.add(outcome.operating_points.iter().enumerate().map(|(index, point)| point_row(key(), index, point)))?;
        self.epochs.add(epochs.iter().map(|epoch| epoch_row(key(), epoch)))?;
        self.jobs.add([[
            key(),
            Value::Text(config_json.clone()),
            Value::Text(worker.clone()),
            Value::Text(version.clone()),
            Value::Text(outcome.trainer.clone()),
            Value::Integer(*finished_us),
            Value::Integer(outcome.n_train.into()),
            Value::Integer(outcome.n_calibration.into()),
            Value::Integer(outcome.n_test.into()),
            Value::Real(outcome.train_seconds),
            records.map_or(Value::Null, |records| Value::Text(records.path.clone())),
            records.map_or(Value::Null, |records| Value::Integer(records.bytes as i64)),
            records.map_or(Value::Null, |records| Value::Text(records.sha256.clone())),
            count(outcome.exits.len()),
            count(outcome.operating_points.len()),
            count(epochs.len()),
        ]])
    }

    /// Brings the files to the disk and gives them their names.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn finish(self) -> Result<(), WriteArchiveError> {
        let Self { folder, sweeps, jobs, exits, points, epochs } = self;
        // All are written before the first gets its name.
        let written = [sweeps, exits, points, epochs, jobs].into_iter().map(Draft::write).collect::<Result<Vec<_>, _>>()?;
        for draft in written {
            draft.rename()?;
        }
        // The names as well are to be there after a power failure.
        let synced = File::open(&folder).and_then(|folder| folder.sync_all());
        synced.map_err(|source| WriteArchiveError::Io { path: folder, source })
    }
}

/// A file under a name that it does not keep, and away with it where it is given up.
struct Draft {
    path: PathBuf,
    written_at: PathBuf,
    part: &'static Part,
    writer: Option<TableWriter<BufWriter<File>>>,
}

impl Draft {
    fn create(folder: &Path, part: &'static Part, id: &str) -> Result<Self, WriteArchiveError> {
        let (path, written_at) = (folder.join(part.file), folder.join(format!("{}.tmp", part.file)));
        let file = File::create(&written_at).map_err(|source| WriteArchiveError::Io { path: written_at.clone(), source })?;
        let mut created = Self { path, written_at, part, writer: None };
        let view = part.file.trim_end_matches(".parquet");
        let writer = TableWriter::new(BufWriter::new(file), view, part.columns, &[(KEY_ARCHIVE, id.to_owned())]);
        created.writer = Some(writer.map_err(|source| created.table_error(source))?);
        Ok(created)
    }

    /// Adds rows.
    fn add<const N: usize>(&mut self, rows: impl IntoIterator<Item = [Value; N]>) -> Result<(), WriteArchiveError> {
        let mut columns: Vec<Array> = self.part.columns.iter().map(|column| Array::empty(column.kind)).collect();
        let mut n_rows = 0;
        for row in rows {
            n_rows += 1;
            for (column, value) in columns.iter_mut().zip(row) {
                push(column, value);
            }
        }
        let writer = self.writer.as_mut().expect("rows come before the end");
        writer.write(Batch { columns, n_rows }).map_err(|source| self.table_error(source))
    }

    fn write(mut self) -> Result<Self, WriteArchiveError> {
        let file = self.writer.take().expect("it ends once").finish().map_err(|source| self.table_error(source))?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error);
        file.and_then(|file| file.sync_all()).map_err(|source| WriteArchiveError::Io { path: self.written_at.clone(), source })?;
        Ok(self)
    }

    fn rename(self) -> Result<(), WriteArchiveError> {
        fs::rename(&self.written_at, &self.path).map_err(|source| WriteArchiveError::Io { path: self.path.clone(), source })
    }

    fn table_error(&self, source: WriteTableError) -> WriteArchiveError {
        WriteArchiveError::Table { path: self.written_at.clone(), source }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Once renamed it is not there any more.
        let _ = fs::remove_file(&self.written_at);
    }
}

fn push(column: &mut Array, value: Value) {
    match (column, value) {
        (Array::Integers(values), Value::Integer(value)) => values.push(Some(value)),
        (Array::Reals(values), Value::Real(value)) => values.push(Some(value)),
        (Array::Texts(values), Value::Text(value)) => values.push(Some(value)),
        (Array::Integers(values), Value::Null) => values.push(None),
        (Array::Reals(values), Value::Null) => values.push(None),
        (Array::Texts(values), Value::Null) => values.push(None),
        (column, value) => unreachable!("rows are as their columns are: {column:?}, {value:?}"),
    }
}

fn maybe(value: Option<f64>) -> Value {
    value.map_or(Value::Null, Value::Real)
}

/// Numbers as a JSON array that reads back to the last bit.
fn array(numbers: &[f64]) -> Value {
    let numbers: Vec<String> = numbers.iter().map(|number| format!("{number:?}")).collect();
    Value::Text(format!("[{}]", numbers.join(",")))
}

fn exit_row(key: Value, index: usize, exit: &ExitResult) -> [Value; 10] {
    [
        key,
        Value::Integer(index as i64),
        Value::Real(exit.accuracy),
        Value::Real(exit.loss),
        Value::Real(exit.calibration_accuracy),
        Value::Real(exit.calibration_loss),
        maybe(exit.top5_accuracy),
        maybe(exit.ece),
        maybe(exit.calibration_top5_accuracy),
        maybe(exit.calibration_ece),
    ]
}

fn point_row(key: Value, index: usize, point: &OperatingPoint) -> [Value; 12] {
    [
        key,
        Value::Integer(index as i64),
        Value::Text(point.policy.clone()),
        Value::Real(point.setting),
        Value::Real(point.macs_cascade),
        Value::Real(point.macs_selected),
        Value::Real(point.accuracy),
        Value::Real(point.calibration_accuracy),
        Value::Real(point.calibration_macs_cascade),
        array(&point.exit_shares),
        maybe(point.latency_us),
        maybe(point.images_per_second),
    ]
}

fn epoch_row(key: Value, epoch: &Epoch) -> [Value; 5] {
    [key, Value::Integer(epoch.epoch.into()), maybe(epoch.loss), array(&epoch.exit_accuracy), Value::Real(epoch.images_per_second)]
}
