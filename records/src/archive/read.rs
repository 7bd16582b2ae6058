//! From an archive to finished jobs.

use std::path::{Path, PathBuf};

use offramp_domain::exchange::{Epoch, FinishedJob, SweepFile};
use offramp_domain::job::JobKey;
use offramp_domain::outcome::{Artifact, ExitResult, OperatingPoint, Outcome};
use offramp_domain::table::{Batch, ValueRef};

use super::{EPOCHS, EXITS, JOBS, KEY_ARCHIVE, PARTS, POINTS, Part, SWEEPS};
use crate::table::{ReadTableError, TableReader};

/// Rows of one job at most, in any file: far more than any result has, and few enough to be kept.
const ROWS_OF_JOB_MOST: i64 = 100_000;

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The folder has no archive.
    #[error("`{}` has no archive: there is no `{missing}`", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// A file that is not there.
        missing: &'static str,
    },
    /// A file is damaged, or of something else.
    #[error(transparent)]
    Table(#[from] ReadTableError),
    /// Its files do not belong together.
    #[error("the files of the archive in `{}` do not belong together: {reason}", folder.display())]
    Torn {
        /// The folder.
        folder: PathBuf,
        /// What shows it.
        reason: String,
    },
    /// A value that no such column can have.
    #[error("`{}` makes no sense in row {row}: `{column}`", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The row's place, from 0.
        row: u64,
        /// The column.
        column: &'static str,
    },
}

/// Reads an archive job by job.
pub struct ArchiveReader {
    folder: PathBuf,
    sweeps: Rows,
    jobs: Rows,
    exits: Rows,
    points: Rows,
    epochs: Rows,
}

impl ArchiveReader {
    /// Opens the archive in a folder.
    ///
    /// # Errors
    /// When there is none, or its files are not those of one archive.
    pub fn open(folder: &Path) -> Result<Self, ArchiveError> {
        if let Some(part) = PARTS.iter().find(|part| !folder.join(part.file).is_file()) {
            return Err(ArchiveError::Missing { folder: folder.to_owned(), missing: part.file });
        }
        let rows = |part| Rows::open(folder, part);
        let opened = Self {
            folder: folder.to_owned(),
            sweeps: rows(&SWEEPS)?,
            jobs: rows(&JOBS)?,
            exits: rows(&EXITS)?,
            points: rows(&POINTS)?,
            epochs: rows(&EPOCHS)?,
        };
        let id = opened.jobs.table.metadata(KEY_ARCHIVE);
        for rows in [&opened.sweeps, &opened.exits, &opened.points, &opened.epochs] {
            if id.is_none() || rows.table.metadata(KEY_ARCHIVE) != id {
                return Err(opened.torn(format!("`{}` is of another one than `{}`", rows.part.file, JOBS.file)));
            }
        }
        Ok(opened)
    }

    /// The next sweep; nothing after the last.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn next_sweep(&mut self) -> Result<Option<SweepFile>, ArchiveError> {
        let rows = &mut self.sweeps;
        if !rows.advance()? {
            return Ok(None);
        }
        Ok(Some(SweepFile {
            key: rows.text("key")?,
            name: rows.text("name")?,
            text: rows.text("text")?,
            created_us: rows.integer("created_us")?,
        }))
    }

    /// The next finished job; nothing after the last. Whether it is what it says it is remains to be seen.
    ///
    /// # Errors
    /// When a file is damaged, or the files say different things.
    pub fn next_job(&mut self) -> Result<Option<FinishedJob>, ArchiveError> {
        if !self.jobs.advance()? {
            // What is left in the other files belongs to nothing.
            for rows in [&mut self.exits, &mut self.points, &mut self.epochs] {
                if rows.advance()? {
                    let reason = format!("`{}` has rows of no job", rows.part.file);
                    return Err(ArchiveError::Torn { folder: self.folder.clone(), reason });
                }
            }
            return Ok(None);
        }
        let jobs = &self.jobs;
        let key = JobKey::parse(&jobs.text("job_key")?).ok_or_else(|| jobs.fault("job_key"))?;
        let records = match (jobs.maybe_text("records_path"), jobs.value("records_bytes"), jobs.maybe_text("records_sha256")) {
            (Some(path), ValueRef::Integer(bytes), Some(sha256)) => {
                Some(Artifact { path, bytes: u64::try_from(bytes).map_err(|_| jobs.fault("records_bytes"))?, sha256 })
            }
            (None, ValueRef::Null, None) => None,
            _ => return Err(jobs.fault("records_path")),
        };
        let mut outcome = Outcome {
            exits: Vec::new(),
            operating_points: Vec::new(),
            n_train: jobs.count("n_train")?,
            n_calibration: jobs.count("n_calibration")?,
            n_test: jobs.count("n_test")?,
            train_seconds: jobs.real("train_seconds")?,
            trainer: jobs.text("trainer")?,
            records,
        };
        let [n_exits, n_points, n_epochs] = [jobs.n_rows("n_exits")?, jobs.n_rows("n_operating_points")?, jobs.n_rows("n_epochs")?];
        let (config_json, worker, version) = (jobs.text("config")?, jobs.text("worker")?, jobs.text("version")?);
        let finished_us = jobs.integer("finished_us")?;
        for index in 0..n_exits {
            self.exits.advance_within(&key, &self.folder)?;
            outcome.exits.push(exit(&self.exits, index)?);
        }
        for index in 0..n_points {
            self.points.advance_within(&key, &self.folder)?;
            outcome.operating_points.push(point(&self.points, index)?);
        }
        let mut epochs = Vec::new();
        for _ in 0..n_epochs {
            self.epochs.advance_within(&key, &self.folder)?;
            epochs.push(epoch(&self.epochs)?);
        }
        Ok(Some(FinishedJob { key, config_json, worker, version, finished_us, outcome, epochs }))
    }

    fn torn(&self, reason: String) -> ArchiveError {
        ArchiveError::Torn { folder: self.folder.clone(), reason }
    }
}

/// A file's rows, one after another.
struct Rows {
    part: &'static Part,
    path: PathBuf,
    table: TableReader,
    batch: Batch,
    row: usize,
    /// Rows before the batch.
    n_before: u64,
}

impl Rows {
    fn open(folder: &Path, part: &'static Part) -> Result<Self, ArchiveError> {
        let path = folder.join(part.file);
        let table = TableReader::open(&path, part.columns)?;
        Ok(Self { part, path, table, batch: Batch::default(), row: 0, n_before: 0 })
    }

    /// Goes on to the next row; whether there is one.
    fn advance(&mut self) -> Result<bool, ArchiveError> {
        self.row += 1;
        if self.row < self.batch.n_rows {
            return Ok(true);
        }
        self.n_before += self.batch.n_rows as u64;
        let next = self.table.next_batch()?;
        let is_there = next.is_some();
        (self.batch, self.row) = (next.unwrap_or_default(), 0);
        Ok(is_there)
    }

    /// Goes on to the next row, which is of a job.
    fn advance_within(&mut self, key: &JobKey, folder: &Path) -> Result<(), ArchiveError> {
        if self.advance()? && self.value("job_key") == ValueRef::Text(key.as_str()) {
            return Ok(());
        }
        let reason = format!("`{}` lacks rows of job {key}", self.part.file);
        Err(ArchiveError::Torn { folder: folder.to_owned(), reason })
    }

    fn value(&self, column: &'static str) -> ValueRef<'_> {
        let place = self.part.columns.iter().position(|known| known.name == column).expect("columns are named as they are above");
        self.batch.columns.get(place).map_or(ValueRef::Null, |array| array.get(self.row))
    }

    fn fault(&self, column: &'static str) -> ArchiveError {
        ArchiveError::Value { path: self.path.clone(), row: self.n_before + self.row as u64, column }
    }

    fn maybe_text(&self, column: &'static str) -> Option<String> {
        match self.value(column) {
            ValueRef::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }

    fn text(&self, column: &'static str) -> Result<String, ArchiveError> {
        self.maybe_text(column).ok_or_else(|| self.fault(column))
    }

    fn integer(&self, column: &'static str) -> Result<i64, ArchiveError> {
        match self.value(column) {
            ValueRef::Integer(value) => Ok(value),
            _ => Err(self.fault(column)),
        }
    }

    fn count(&self, column: &'static str) -> Result<u32, ArchiveError> {
        u32::try_from(self.integer(column)?).map_err(|_| self.fault(column))
    }

    /// A number of rows of one job.
    fn n_rows(&self, column: &'static str) -> Result<i64, ArchiveError> {
        let n_rows = self.integer(column)?;
        if (0..=ROWS_OF_JOB_MOST).contains(&n_rows) { Ok(n_rows) } else { Err(self.fault(column)) }
    }

    fn maybe_real(&self, column: &'static str) -> Option<f64> {
        match self.value(column) {
            ValueRef::Real(value) => Some(value),
            _ => None,
        }
    }

    fn real(&self, column: &'static str) -> Result<f64, ArchiveError> {
        self.maybe_real(column).ok_or_else(|| self.fault(column))
    }

    /// A JSON array of numbers.
    fn reals(&self, column: &'static str) -> Result<Vec<f64>, ArchiveError> {
        let text = self.text(column)?;
        let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).ok_or_else(|| self.fault(column))?;
        if inside.is_empty() {
            return Ok(Vec::new());
        }
        inside.split(',').map(|number| number.trim().parse().map_err(|_| self.fault(column))).collect()
    }

    /// Refuses a row that says that it has another place among those of its job.
    fn at(&self, column: &'static str, index: i64) -> Result<(), ArchiveError> {
        if self.integer(column)? == index { Ok(()) } else { Err(self.fault(column)) }
    }
}

fn exit(rows: &Rows, index: i64) -> Result<ExitResult, ArchiveError> {
    rows.at("exit", index)?;
    Ok(ExitResult {
        accuracy: rows.real("accuracy")?,
        loss: rows.real("loss")?,
        calibration_accuracy: rows.real("calibration_accuracy")?,
        calibration_loss: rows.real("calibration_loss")?,
        top5_accuracy: rows.maybe_real("top5_accuracy"),
        ece: rows.maybe_real("ece"),
        calibration_top5_accuracy: rows.maybe_real("calibration_top5_accuracy"),
        calibration_ece: rows.maybe_real("calibration_ece"),
    })
}

fn point(rows: &Rows, index: i64) -> Result<OperatingPoint, ArchiveError> {
    rows.at("point", index)?;
    Ok(OperatingPoint {
        policy: rows.text("policy")?,
        setting: rows.real("setting")?,
        macs_cascade: rows.real("macs_cascade")?,
        macs_selected: rows.real("macs_selected")?,
        accuracy: rows.real("accuracy")?,
        calibration_accuracy: rows.real("calibration_accuracy")?,
        calibration_macs_cascade: rows.real("calibration_macs_cascade")?,
        exit_shares: rows.reals("exit_shares")?,
        latency_us: rows.maybe_real("latency_us"),
        images_per_second: rows.maybe_real("images_per_second"),
    })
}

fn epoch(rows: &Rows) -> Result<Epoch, ArchiveError> {
    Ok(Epoch {
        epoch: rows.count("epoch")?,
        loss: rows.maybe_real("loss"),
        exit_accuracy: rows.reals("exit_accuracy")?,
        images_per_second: rows.real("images_per_second")?,
    })
}
