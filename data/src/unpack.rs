//! Unpacking archives that strangers made.
//!
//! The libraries read headers alone; what is written, and where, is decided here. Entries are files and folders below one known folder:
//! links, devices and paths that lead elsewhere end the unpacking, and so does more than the limits allow, counted as it comes out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use crate::catalogue::Archive;
use crate::checksum::hexadecimal;

/// The file with the checksums of all files, in the layout of `sha256sum`, in the archive's folder.
pub const CHECKSUMS: &str = "SHA256SUMS";

/// Longest path of an entry, bytes; the published archives' are below 80.
const MAX_PATH_BYTES: usize = 256;
/// Bytes of headers for each entry that a tar stream may have beside the files themselves.
const TAR_BYTES_AN_ENTRY: u64 = 4_096;

/// What an archive may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits<'a> {
    /// The folder that everything is in.
    pub root: &'a str,
    /// Most entries.
    pub most_entries: u64,
    /// Most bytes of all files together.
    pub most_bytes: u64,
}

/// Why an archive was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It cannot be read as an archive.
    #[error("`{}` cannot be read as an archive", archive.display())]
    Archive {
        /// The archive.
        archive: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// An entry that has no business in a dataset.
    #[error("entry {} of `{}` is {what}", quoted(entry), archive.display())]
    Entry {
        /// The archive.
        archive: PathBuf,
        /// The entry's name.
        entry: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It has more entries than a dataset of that name.
    #[error("`{}` has more than {most} entries", archive.display())]
    Entries {
        /// The archive.
        archive: PathBuf,
        /// The most there may be.
        most: u64,
    },
    /// It unpacks to more than a dataset of that name.
    #[error("`{}` unpacks to more than {most} bytes", archive.display())]
    Bytes {
        /// The archive.
        archive: PathBuf,
        /// The most there may be.
        most: u64,
    },
    /// A file could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn quoted(entry: &str) -> String {
    format!("`{}`", entry.chars().take(80).collect::<String>().escape_debug())
}

/// Unpacks an archive into the folder `into`, which must exist and be empty. Calls `report` with the bytes written so far, now and then. On
/// success the archive's folder holds [`CHECKSUMS`] besides; after an error, what was written so far is left for the caller to remove.
///
/// # Errors
/// When the archive is damaged, has an entry that is neither file nor folder below [`Limits::root`], or exceeds a limit.
pub fn unpack(kind: Archive, archive: &Path, into: &Path, limits: Limits<'_>, report: &mut dyn FnMut(u64)) -> Result<(), UnpackError> {
    let mut unpacking = Unpacking { archive, into, limits, n_entries: 0, n_bytes: 0, sums: Vec::new(), report };
    let file = File::open(archive).map_err(|source| unpacking.archive_error(source))?;
    match kind {
        Archive::TarGz => unpacking.tar(GzDecoder::new(BufReader::new(file)))?,
        Archive::Zip => unpacking.zip(file)?,
    }
    unpacking.write_sums()
}

struct Unpacking<'a> {
    archive: &'a Path,
    into: &'a Path,
    limits: Limits<'a>,
    n_entries: u64,
    n_bytes: u64,
    /// Each file's path below the root, and its SHA-256.
    sums: Vec<(String, String)>,
    report: &'a mut dyn FnMut(u64),
}

impl Unpacking<'_> {
    fn tar(&mut self, stream: impl Read) -> Result<(), UnpackError> {
        // The library holds long names in memory, whatever length they claim: the stream itself must end in time.
        let most = self.limits.most_bytes.saturating_add(self.limits.most_entries.saturating_mul(TAR_BYTES_AN_ENTRY));
        let mut archive = tar::Archive::new(Bounded { inner: stream, left: most });
        for entry in archive.entries().map_err(|source| self.archive_error(source))? {
            let mut entry = entry.map_err(|source| self.archive_error(source))?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            match entry.header().entry_type() {
                tar::EntryType::Regular => self.file(&name, &mut entry)?,
                tar::EntryType::Directory => self.folder(&name)?,
                tar::EntryType::Symlink | tar::EntryType::Link => return Err(self.entry_error(&name, "a link")),
                _ => return Err(self.entry_error(&name, "neither a file nor a folder")),
            }
        }
        Ok(())
    }

    fn zip(&mut self, file: File) -> Result<(), UnpackError> {
        let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| self.archive_error(error.into()))?;
        if archive.len() as u64 > self.limits.most_entries {
            return Err(UnpackError::Entries { archive: self.archive.to_owned(), most: self.limits.most_entries });
        }
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(|error| self.archive_error(error.into()))?;
            let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            // Bits of the file's type; archives made on some systems have none.
            let is_special = entry.unix_mode().is_some_and(|mode| !matches!(mode & 0o170_000, 0 | 0o100_000 | 0o040_000));
            if entry.is_symlink() {
                return Err(self.entry_error(&name, "a link"));
            } else if is_special {
                return Err(self.entry_error(&name, "neither a file nor a folder"));
            } else if entry.is_dir() {
                self.folder(&name)?;
            } else {
                self.file(&name, &mut entry)?;
            }
        }
        Ok(())
    }

    fn folder(&mut self, name: &str) -> Result<(), UnpackError> {
        let path = self.place(name)?;
        fs::create_dir_all(&path).map_err(|source| UnpackError::Write { path, source })
    }

    fn file(&mut self, name: &str, content: &mut impl Read) -> Result<(), UnpackError> {
        let path = self.place(name)?;
        if path.strip_prefix(self.into.join(self.limits.root)).is_ok_and(|below| below.as_os_str().is_empty()) {
            return Err(self.entry_error(name, "a file in place of the archive's folder"));
        }
        let write_error = |source| UnpackError::Write { path: path.clone(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(write_error)?;
        }
        // Never over a file that is there: an archive that names one twice, or in two cases on a system that knows one, is no dataset.
        let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => BufWriter::new(file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(self.entry_error(name, "there twice")),
            Err(error) => return Err(write_error(error)),
        };
        let mut digest = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.archive_error(error)),
            };
            self.n_bytes += n as u64;
            if self.n_bytes > self.limits.most_bytes {
                return Err(UnpackError::Bytes { archive: self.archive.to_owned(), most: self.limits.most_bytes });
            }
            digest.update(&buffer[..n]);
            file.write_all(&buffer[..n]).map_err(write_error)?;
        }
        file.flush().map_err(write_error)?;
        let below_root = path.strip_prefix(self.into.join(self.limits.root)).unwrap_or(&path);
        self.sums.push((below_root.to_string_lossy().into_owned(), hexadecimal(&digest.finalize())));
        (self.report)(self.n_bytes);
        Ok(())
    }

    /// Counts an entry, and says where it goes.
    fn place(&mut self, name: &str) -> Result<PathBuf, UnpackError> {
        self.n_entries += 1;
        if self.n_entries > self.limits.most_entries {
            return Err(UnpackError::Entries { archive: self.archive.to_owned(), most: self.limits.most_entries });
        }
        if name.len() > MAX_PATH_BYTES || name.contains(['\\', ':', '\u{fffd}']) || name.chars().any(char::is_control) {
            return Err(self.entry_error(name, "no path that a dataset's file has"));
        }
        let mut below = PathBuf::new();
        for component in Path::new(name).components() {
            match component {
                Component::Normal(part) => below.push(part),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    return Err(self.entry_error(name, "a path that leads elsewhere"));
                }
            }
        }
        if below.as_os_str().is_empty() || below.starts_with(self.limits.root) {
            Ok(self.into.join(below))
        } else {
            Err(self.entry_error(name, "outside the archive's folder"))
        }
    }

    fn write_sums(&mut self) -> Result<(), UnpackError> {
        self.sums.sort();
        let text = self.sums.iter().fold(String::new(), |text, (path, sum)| text + sum + "  " + path + "\n");
        let path = self.into.join(self.limits.root).join(CHECKSUMS);
        fs::write(&path, text).map_err(|source| UnpackError::Write { path, source })
    }

    fn archive_error(&self, source: io::Error) -> UnpackError {
        if source.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<PastBound>) {
            return UnpackError::Bytes { archive: self.archive.to_owned(), most: self.limits.most_bytes };
        }
        UnpackError::Archive { archive: self.archive.to_owned(), source }
    }

    fn entry_error(&self, entry: &str, what: &'static str) -> UnpackError {
        UnpackError::Entry { archive: self.archive.to_owned(), entry: entry.to_owned(), what }
    }
}

/// A stream that is an error beyond so many bytes.
struct Bounded<R> {
    inner: R,
    left: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("there is more than there may be")]
struct PastBound;

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        match self.left.checked_sub(n as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(PastBound)),
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests;
