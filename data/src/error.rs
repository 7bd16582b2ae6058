//! What can be wrong with a dataset's files.

use std::io;
use std::path::PathBuf;

use offramp_domain::dataset::DatasetError;

/// Why a dataset could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// See [`DatasetError`].
    #[error(transparent)]
    Unknown(#[from] DatasetError),
    /// A file or folder could not be read.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder has none of the files that a split consists of.
    #[error("no `{expected}` in `{}`", folder.display())]
    NoFiles {
        /// The folder looked in.
        folder: PathBuf,
        /// The names looked for.
        expected: &'static str,
    },
    /// A file does not consist of whole records.
    #[error("`{}` is cut off: its last record, at byte {offset}, has {got} of {expected} bytes", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Where the incomplete record starts.
        offset: usize,
        /// Bytes of a record.
        expected: usize,
        /// Bytes that are there.
        got: usize,
    },
    /// A file has no records.
    #[error("`{}` is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A label is no class of the dataset.
    #[error("`{}` has label {got} at byte {offset}, expected one below {n_classes}", path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// Where the label is.
        offset: usize,
        /// The label.
        got: u8,
        /// Number of classes.
        n_classes: usize,
    },
    /// A file holds something else than its layout has there.
    #[error("`{}`, byte {offset}: expected {expected}, got {got}", path.display())]
    Content {
        /// The file; of a compressed one, offsets count its unpacked bytes.
        path: PathBuf,
        /// Where, bytes from the beginning.
        offset: u64,
        /// What belongs there.
        expected: String,
        /// What is there.
        got: String,
    },
    /// A folder holds something else than its layout has there.
    #[error("`{}`: expected {expected}, got {got}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What belongs there.
        expected: String,
        /// What is there.
        got: String,
    },
    /// An image file could not be decoded.
    #[error("`{}` cannot be decoded as an image", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: image::ImageError,
    },
    /// The images do not fit into memory.
    #[error("there is no room in memory for the {bytes} bytes of the dataset's images")]
    Memory {
        /// Bytes asked for.
        bytes: u64,
    },
}
