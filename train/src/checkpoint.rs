//! Where a run stands, on disk: written after an epoch, read by the next attempt at the same job on the same machine.
//!
//! A job's folder, named by its key, has one folder a generation, named by the epochs that were over. In it are the parts, burnpack files of
//! weights and optimiser states; `checkpoint.json`, which says whose they are and where the run stood; and `SHA256SUMS`, which
//! `sha256sum --check` reads. A generation is written under another name, flushed to disk, and renamed, so that what has its name is whole. The
//! newest two are kept: should the newest turn out damaged, the one before it is taken.
//!
//! A checkpoint never decides a result. Whatever is wrong with it, the run begins anew; and a run that goes on from one ends, on the CPU, bit for
//! bit where it would have ended without.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use burn::store::RecordError;
use burn::tensor::Bytes;
use offramp_domain::job::{JobConfig, JobKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of the layout that this build writes, and the only one that it reads.
const FORMAT: u32 = 1;
/// Generations of a job that are kept.
const N_KEPT: usize = 2;
const MANIFEST: &str = "checkpoint.json";
const SUMS: &str = "SHA256SUMS";

/// Where checkpoints of all jobs are kept, and how often they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoints {
    /// The folder.
    pub dir: PathBuf,
    /// Time that passes at least between two checkpoints of a run.
    pub every: Duration,
}

/// Where a run stands, apart from its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Epochs that are over.
    pub n_epochs: u32,
    /// The phase that the weights belong to.
    pub phase: usize,
    /// Seconds spent on training, by all attempts together.
    pub train_seconds: f64,
    /// Updates of the weights' moving average in this phase.
    pub n_averaged: u64,
    /// Share of the calibration split that each exit got right after the last epoch.
    pub exit_accuracy: Vec<f64>,
}

/// Weights and optimiser states by the names of their files.
pub type Parts = BTreeMap<String, Bytes>;

/// A job's checkpoints.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    owner: Owner,
}

/// Whose a checkpoint is. Another job's weights are another's, and another device's or program's need not be what this one would have come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    job: String,
    trainer: String,
    program: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    owner: Owner,
    state: State,
    parts: Vec<String>,
}

/// Why a checkpoint is not taken.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file is missing or cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what was written.
    #[error("`{}` is not what was written: SHA-256 {got}, expected {expected}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its hash as written down; empty where there is none.
        expected: String,
        /// Its hash.
        got: String,
    },
    /// The description cannot be understood.
    #[error("`{}` does not describe a checkpoint", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It is laid out in another way.
    #[error("a checkpoint of format {0}, this build reads format {FORMAT}")]
    Format(u32),
    /// It is somebody else's.
    #[error("a checkpoint of job {job}, trained by {trainer}, program {program}")]
    Foreign {
        /// The job's key.
        job: String,
        /// What trained it.
        trainer: String,
        /// The version of the program.
        program: String,
    },
    /// The weights are not those of the job's network.
    #[error("the weights do not fit the network")]
    Record(#[from] RecordError),
    /// A part is not there.
    #[error("there is no part `{0}`")]
    NoPart(&'static str),
    /// The job has no such phase.
    #[error("there is no phase {0}")]
    NoPhase(usize),
}

/// Why a checkpoint is not written.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// A file or folder cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Weights cannot be written down.
    #[error("cannot write the weights down")]
    Record(#[from] RecordError),
}

impl Checkpoints {
    /// Those of a job that `trainer` trains.
    pub fn of(&self, config: &JobConfig, trainer: &str) -> Store {
        let job = config.key().as_str().to_owned();
        let owner = Owner { job, trainer: trainer.to_owned(), program: env!("CARGO_PKG_VERSION").to_owned() };
        Store { folder: self.dir.join(&owner.job), owner }
    }

    /// Removes the checkpoints of jobs that nothing was written for since a time: jobs that were cancelled, or that another machine went on
    /// with. What cannot be removed stays.
    pub fn remove_older_than(&self, time: SystemTime) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        for entry in entries.filter_map(Result::ok) {
            let is_job = entry.file_name().to_str().is_some_and(|name| JobKey::parse(name).is_some());
            let is_old = entry.metadata().and_then(|facts| facts.modified()).is_ok_and(|modified| modified < time);
            if is_job && is_old {
                tracing::info!(folder = %entry.path().display(), "removing an old checkpoint");
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

impl Store {
    /// Gives the newest checkpoint that is whole, the job's own, and accepted; says in the log why others are not taken.
    pub fn newest<T>(&self, accept: impl Fn(State, Parts) -> Result<T, LoadError>) -> Option<T> {
        let generations = self.generations().into_iter().rev();
        generations.into_iter().find_map(|(_, folder)| {
            let loaded = self.load(&folder).and_then(|(state, parts)| {
                let n_epochs = state.n_epochs;
                accept(state, parts).map(|accepted| (n_epochs, accepted))
            });
            match loaded {
                Ok((n_epochs, accepted)) => {
                    tracing::info!(job = %self.owner.job, n_epochs, "going on from a checkpoint");
                    Some(accepted)
                }
                Err(error) => {
                    let reason = with_sources(&error);
                    tracing::warn!(job = %self.owner.job, checkpoint = %folder.display(), reason, "a checkpoint is not taken");
                    None
                }
            }
        })
    }

    /// Writes a checkpoint and removes what is too old.
    ///
    /// # Errors
    /// When the disk does not take it. What was written before stays, and nothing of this one does.
    pub fn save(&self, state: &State, parts: &Parts) -> Result<(), SaveError> {
        let new = self.folder.join(format!(".{:06}.{}", state.n_epochs, std::process::id()));
        let saved = self.save_by_way_of(&new, state, parts);
        if saved.is_err() {
            // A full disk is to be no fuller with every epoch.
            let _ = fs::remove_dir_all(&new);
        }
        saved
    }

    fn save_by_way_of(&self, new: &Path, state: &State, parts: &Parts) -> Result<(), SaveError> {
        let target = self.folder.join(format!("{:06}", state.n_epochs));
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| SaveError::Write { path, source }
        };
        // Left by a process of the same number, or none.
        let _ = fs::remove_dir_all(new);
        fs::create_dir_all(new).map_err(failed(new))?;
        let manifest = Manifest { format: FORMAT, owner: self.owner.clone(), state: state.clone(), parts: parts.keys().cloned().collect() };
        let manifest = serde_json::to_vec_pretty(&manifest).expect("a manifest has only string keys and finite numbers");
        let files = parts.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).chain([(MANIFEST, &manifest[..])]);
        let mut sums = String::new();
        for (name, bytes) in files {
            write(&new.join(name), bytes).map_err(failed(&new.join(name)))?;
            sums.extend([sha256(bytes).as_str(), "  ", name, "\n"]);
        }
        write(&new.join(SUMS), sums.as_bytes()).map_err(failed(&new.join(SUMS)))?;
        flush_folder(new).map_err(failed(new))?;
        // One of that name was not taken when this run began.
        let _ = fs::remove_dir_all(&target);
        fs::rename(new, &target).map_err(failed(&target))?;
        flush_folder(&self.folder).map_err(failed(&self.folder))?;
        self.remove_old(new);
        Ok(())
    }

    /// Removes everything: the job is done, or must begin anew.
    pub fn forget(&self) {
        if let Err(error) = fs::remove_dir_all(&self.folder)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %self.folder.display(), %error, "a checkpoint that is not needed any more stays");
        }
    }

    fn load(&self, folder: &Path) -> Result<(State, Parts), LoadError> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(|source| LoadError::Read { path, source })
        };
        let sums = String::from_utf8_lossy(&read(SUMS)?).into_owned();
        let read_whole = |name: &str| {
            let bytes = read(name)?;
            let expected = sums.lines().filter_map(|line| line.split_once("  ")).find(|(_, named)| *named == name);
            let (expected, got) = (expected.map_or(String::new(), |(sum, _)| sum.to_owned()), sha256(&bytes));
            if got == expected { Ok(bytes) } else { Err(LoadError::Damaged { path: folder.join(name), expected, got }) }
        };
        let manifest = read_whole(MANIFEST)?;
        let understood = serde_json::from_slice::<Header>(&manifest).and_then(|header| {
            // Another format may have other fields, so its number is read first and alone.
            if header.format == FORMAT { serde_json::from_slice(&manifest).map(Ok) } else { Ok(Err(LoadError::Format(header.format))) }
        });
        let Manifest { owner, state, parts, .. } =
            understood.map_err(|source| LoadError::Manifest { path: folder.join(MANIFEST), source })??;
        if owner != self.owner {
            return Err(LoadError::Foreign { job: owner.job, trainer: owner.trainer, program: owner.program });
        }
        let parts = parts.into_iter().map(|name| read_whole(&name).map(|bytes| (name, Bytes::from_bytes_vec(bytes))));
        Ok((state, parts.collect::<Result<Parts, LoadError>>()?))
    }

    /// Epochs and folder of each generation, oldest first.
    fn generations(&self) -> Vec<(u32, PathBuf)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().filter_map(Result::ok);
        let numbered = entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())));
        let mut generations: Vec<(u32, PathBuf)> = numbered.collect();
        generations.sort_unstable();
        generations
    }

    /// Removes all but the newest generations, and what a process that died was about to write.
    fn remove_old(&self, own: &Path) {
        let generations = self.generations();
        let old = generations.iter().rev().skip(N_KEPT).map(|(_, folder)| folder.clone());
        let entries = fs::read_dir(&self.folder).into_iter().flatten().filter_map(Result::ok);
        let begun = entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b".")).map(|entry| entry.path());
        for folder in old.chain(begun.filter(|folder| folder != own)) {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

#[derive(Deserialize)]
struct Header {
    format: u32,
}

/// Takes a part out.
///
/// # Errors
/// When it is not there.
pub fn take(parts: &mut Parts, name: &'static str) -> Result<Bytes, LoadError> {
    parts.remove(name).ok_or(LoadError::NoPart(name))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Has the names in a folder survive a loss of power.
fn flush_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

/// An error with everything that caused it, in one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |source| source.source()).fold(error.to_string(), |so_far, source| format!("{so_far}: {source}"))
}

#[cfg(test)]
mod tests;
