//! What other databases are told: finished jobs with their results, sweep files, and the whole of a SQLite database.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use offramp_domain::exchange::{Epoch, FinishedJob, SweepFile};
use offramp_domain::job::JobKey;
use offramp_domain::outcome::{Artifact, ExitResult, OperatingPoint, Outcome};

use super::engine::{Pool, Row, args};
use super::error::DatabaseError;
use super::{Reader, Transaction, sql};

/// Jobs that are read at once, each with hundreds of operating points: a few megabytes.
const PAGE_JOBS: i64 = 64;

/// Some finished jobs, and where to go on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FinishedJobs {
    /// The jobs, in the order in which they came into the database.
    pub jobs: Vec<FinishedJob>,
    /// What to give to [`Reader::finished_jobs`] for those that follow; nothing where there are no more.
    pub next: Option<i64>,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A server has its own way.
    #[error("the database is on a PostgreSQL server, which is copied by its own tools")]
    Postgres,
    /// There is a file of that name.
    #[error("`{}` is there already", .0.display())]
    Exists(PathBuf),
    /// The copy cannot be brought to the disk.
    #[error("cannot write `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The path is one that no statement can hold.
    #[error("the path `{}` is not UTF-8", .0.display())]
    Path(PathBuf),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl SnapshotError {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Postgres => Some(
                "`pg_dump --format=custom --file=FILE URL` takes a consistent copy of the whole database; `offramp export --archive DIR` \
                 takes the results, which `offramp import` reads into a database of either kind",
            ),
            Self::Exists(_) => Some("name another file, or say --force to replace it"),
            Self::Io { .. } | Self::Path(_) => None,
            Self::Database(error) => error.hint(),
        }
    }
}

impl Reader {
    /// Finished jobs, those of one sweep or all, after the place that the answer before this one named; 0 is before the first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn finished_jobs(&self, sweep: Option<i64>, after: i64) -> Result<FinishedJobs, DatabaseError> {
        let mut tx = self.pool().begin_reading().await?;
        Ok(finished_jobs(&mut tx, sweep.unwrap_or(0), after, PAGE_JOBS).await?)
    }

    /// The file of one sweep, or of all, oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sweep_files(&self, sweep: Option<i64>) -> Result<Vec<SweepFile>, DatabaseError> {
        let file = |row: &Row| -> Result<SweepFile, sqlx::Error> {
            let (key, name) = (row.get("key")?, row.get("name")?);
            Ok(SweepFile { key, name, text: row.get("text")?, created_us: row.get("created_us")? })
        };
        let rows = self.pool().all(sql::SWEEP_FILES, args![sweep.unwrap_or(0)]).await?;
        Ok(rows.iter().map(file).collect::<Result<_, _>>()?)
    }

    /// Writes one state of a SQLite database to a new file, whether or not a coordinator is writing meanwhile. The file needs no other beside it,
    /// and is on the disk when this returns.
    ///
    /// # Errors
    /// When the database is on a server, there is a file already, and those of the database and the file system.
    pub async fn snapshot(&self, to: &Path) -> Result<(), SnapshotError> {
        let Pool::Sqlite(pool) = self.pool() else { return Err(SnapshotError::Postgres) };
        // SQLite takes an empty file for none.
        if to.exists() {
            return Err(SnapshotError::Exists(to.to_owned()));
        }
        let path = to.to_str().ok_or_else(|| SnapshotError::Path(to.to_owned()))?;
        let copied = sqlx::query(sql::sqlite::SNAPSHOT).bind(path).execute(pool).await;
        let synced = |source| SnapshotError::Io { path: to.to_owned(), source };
        match copied {
            Ok(_) => std::fs::File::open(to).and_then(|file| file.sync_all()).map_err(synced),
            Err(error) => {
                // What there is of it is no database.
                let _ = std::fs::remove_file(to);
                Err(DatabaseError::from(error).into())
            }
        }
    }
}

/// Finished jobs after one job, at most `most`; those of sweep `sweep`, or all where it is 0.
pub(super) async fn finished_jobs(tx: &mut Transaction, sweep: i64, after: i64, most: i64) -> Result<FinishedJobs, sqlx::Error> {
    let rows = tx.all(sql::FINISHED_JOBS, args![after, sweep, most]).await?;
    let mut ids = Vec::with_capacity(rows.len());
    let mut places = HashMap::with_capacity(rows.len());
    let mut jobs = Vec::with_capacity(rows.len());
    for row in &rows {
        let id: i64 = row.get("job_id")?;
        places.insert(id, jobs.len());
        ids.push(id);
        jobs.push(job(row)?);
    }
    let Some(&last) = ids.last() else { return Ok(FinishedJobs::default()) };
    let range = || args![after, last, sweep];
    for row in tx.all(sql::FINISHED_EXITS, range()).await? {
        if let Some(&place) = places.get(&row.get("job_id")?) {
            jobs[place].outcome.exits.push(exit(&row)?);
        }
    }
    for row in tx.all(sql::FINISHED_POINTS, range()).await? {
        if let Some(&place) = places.get(&row.get("job_id")?) {
            jobs[place].outcome.operating_points.push(point(&row)?);
        }
    }
    for row in tx.all(sql::FINISHED_EPOCHS, range()).await? {
        if let Some(&place) = places.get(&row.get("job_id")?) {
            jobs[place].epochs.push(epoch(&row)?);
        }
    }
    let next = (ids.len() as i64 == most).then_some(last);
    Ok(FinishedJobs { jobs, next })
}

fn job(row: &Row) -> Result<FinishedJob, sqlx::Error> {
    let key: String = row.get("key")?;
    let key = JobKey::parse(&key).ok_or_else(|| sqlx::Error::Decode(format!("`{key}` is not a job's key").into()))?;
    let records = match row.get::<Option<String>>("records_path")? {
        Some(path) => Some(Artifact { path, bytes: row.get("records_bytes")?, sha256: row.get("records_sha256")? }),
        None => None,
    };
    let outcome = Outcome {
        exits: Vec::new(),
        operating_points: Vec::new(),
        n_train: row.get("n_train")?,
        n_calibration: row.get("n_calibration")?,
        n_test: row.get("n_test")?,
        train_seconds: row.get("train_seconds")?,
        trainer: row.get("trainer")?,
        records,
    };
    let (worker, version) = (row.get("worker")?, row.get("version")?);
    Ok(FinishedJob {
        key,
        config_json: row.get("config")?,
        worker,
        version,
        finished_us: row.get("finished_us")?,
        outcome,
        epochs: Vec::new(),
    })
}

fn exit(row: &Row) -> Result<ExitResult, sqlx::Error> {
    Ok(ExitResult {
        accuracy: row.get("accuracy")?,
        loss: row.get("loss")?,
        calibration_accuracy: row.get("calibration_accuracy")?,
        calibration_loss: row.get("calibration_loss")?,
        top5_accuracy: row.get("top5_accuracy")?,
        ece: row.get("ece")?,
        calibration_top5_accuracy: row.get("calibration_top5_accuracy")?,
        calibration_ece: row.get("calibration_ece")?,
    })
}

fn point(row: &Row) -> Result<OperatingPoint, sqlx::Error> {
    Ok(OperatingPoint {
        policy: row.get("policy")?,
        setting: row.get("setting")?,
        macs_cascade: row.get("macs_cascade")?,
        macs_selected: row.get("macs_selected")?,
        accuracy: row.get("accuracy")?,
        calibration_accuracy: row.get("calibration_accuracy")?,
        calibration_macs_cascade: row.get("calibration_macs_cascade")?,
        exit_shares: numbers(row, "exit_shares")?,
        latency_us: row.get("latency_us")?,
        images_per_second: row.get("images_per_second")?,
    })
}

fn epoch(row: &Row) -> Result<Epoch, sqlx::Error> {
    let (epoch, loss) = (row.get("epoch")?, row.get("loss")?);
    Ok(Epoch { epoch, loss, exit_accuracy: numbers(row, "exit_accuracy")?, images_per_second: row.get("images_per_second")? })
}

fn numbers(row: &Row, column: &str) -> Result<Vec<f64>, sqlx::Error> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) })
}
