//! Bringing a dataset's files into the data folder: downloaded, checked, unpacked, and only then where readers look.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::catalogue::{Place, Published, Remote};
use crate::download::{DownloadError, Downloader, Mirror, Observer};
use crate::unpack::{Limits, UnpackError, unpack};

/// The folder of unfinished work, within the data folder: on the same disk, so that finished work is put in its place at once or not at all.
pub const INCOMING: &str = ".incoming";

/// What a fetch did with one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// It was there.
    AlreadyThere,
    /// It is there now.
    Installed,
}

/// Why a dataset was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Another process is at work on the same data folder.
    #[error("another process fetches into `{}`", folder.display())]
    Busy {
        /// The data folder.
        folder: PathBuf,
    },
    /// Something else is where the files belong.
    #[error("`{}` is there, and is not the published one ({what})", path.display())]
    Occupied {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file or folder could not be made, moved or removed.
    #[error("cannot change `{}`", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// See [`DownloadError`].
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// See [`UnpackError`].
    #[error(transparent)]
    Unpack(#[from] UnpackError),
}

impl FetchError {
    /// What to do next.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "wait until it has ended",
            Self::Occupied { .. } => "move it away, or have it replaced with --replace",
            Self::Download(error) => error.hint(),
            Self::Io { .. } | Self::Unpack(UnpackError::Write { .. }) => "see that the disk has room and the data folder can be written to",
            Self::Unpack(_) => "nothing of it was put in place; the archive is not as published, please report it",
        }
    }
}

/// Fetches what is lacking of a dataset's files into `data_dir`; gives what became of each. `is_whole` says of an archive's folder, by its
/// path, what is wrong with it, if anything; files are compared with their checksums.
///
/// What is there but not as published is an error, unless it is to be replaced: it stays in its place until its successor is complete.
///
/// # Errors
/// When a file cannot be had or is not the published one. What was put in place before stays.
pub fn fetch(
    published: &Published,
    data_dir: &Path,
    mirror: Option<Mirror>,
    replace: bool,
    is_whole: &dyn Fn(&Path) -> Result<(), String>,
    observer: &mut dyn Observer,
) -> Result<Vec<Fetched>, FetchError> {
    let incoming = data_dir.join(INCOMING);
    fs::create_dir_all(&incoming).map_err(|source| FetchError::Io { path: incoming.clone(), source })?;
    let _lock = lock(&incoming, data_dir)?;
    let downloader = Downloader::new(mirror);
    let mut fetched = Vec::with_capacity(published.files.len());
    for file in published.files {
        let target = match file.place {
            Place::Folder(folder) => data_dir.join(folder).join(file.name),
            Place::Unpacked { root, .. } => data_dir.join(root),
        };
        if target.exists() {
            match whole(file, &target, is_whole)? {
                Ok(()) => {
                    fetched.push(Fetched::AlreadyThere);
                    continue;
                }
                Err(what) if !replace => return Err(FetchError::Occupied { path: target, what }),
                Err(_) => {}
            }
        }
        let part = incoming.join(format!("{}.part", file.name));
        downloader.download(file, &part, observer)?;
        match file.place {
            Place::Folder(_) => install(&part, &target, &incoming)?,
            Place::Unpacked { archive, root, most_entries, most_bytes } => {
                let unpacked = incoming.join(format!("{}.unpacked", file.name));
                remove(&unpacked)?;
                fs::create_dir(&unpacked).map_err(|source| FetchError::Io { path: unpacked.clone(), source })?;
                observer.begins(&format!("unpacking {}", file.name), 0, None);
                let limits = Limits { root, most_entries, most_bytes };
                let result = unpack(archive, &part, &unpacked, limits, &mut |done| observer.advanced(done));
                if let Err(error) = result {
                    remove(&unpacked)?;
                    return Err(error.into());
                }
                install(&unpacked.join(root), &target, &incoming)?;
                remove(&unpacked)?;
                remove(&part)?;
            }
        }
        fetched.push(Fetched::Installed);
    }
    Ok(fetched)
}

/// Whether what is in a file's place is the published one, or what is wrong with it.
fn whole(file: &Remote, target: &Path, is_whole: &dyn Fn(&Path) -> Result<(), String>) -> Result<Result<(), String>, FetchError> {
    match file.place {
        Place::Unpacked { .. } => Ok(is_whole(target)),
        Place::Folder(_) => {
            let got = file.checksum.of_file(target).map_err(|source| FetchError::Io { path: target.to_owned(), source })?;
            let what = || format!("its {} is {got}, expected {}", file.checksum.kind(), file.checksum.digits());
            Ok(if got == file.checksum.digits() { Ok(()) } else { Err(what()) })
        }
    }
}

/// Keeps other processes from the folder of unfinished work, as long as the file is open; the system lets go of it when the process ends.
fn lock(incoming: &Path, data_dir: &Path) -> Result<File, FetchError> {
    let path = incoming.join("lock");
    let io_error = |source| FetchError::Io { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io_error)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(FetchError::Busy { folder: data_dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io_error(source)),
    }
}

/// Puts a finished file or folder in its place. What is there stays until then, and comes back where the move fails.
fn install(finished: &Path, target: &Path, incoming: &Path) -> Result<(), FetchError> {
    let io_error = |path: &Path| {
        let path = path.to_owned();
        |source| FetchError::Io { path, source }
    };
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(io_error(folder))?;
    }
    if !target.is_dir() {
        // A file's rename takes the place of the one that is there.
        return fs::rename(finished, target).map_err(io_error(target));
    }
    let replaced = incoming.join("replaced");
    remove(&replaced)?;
    fs::rename(target, &replaced).map_err(io_error(target))?;
    if let Err(error) = fs::rename(finished, target) {
        fs::rename(&replaced, target).map_err(io_error(target))?;
        return Err(io_error(target)(error));
    }
    remove(&replaced)
}

/// Removes a file or a folder with all that is in it, where there is one. Links are removed, not followed.
fn remove(path: &Path) -> Result<(), FetchError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(facts) if facts.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(|source| FetchError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
