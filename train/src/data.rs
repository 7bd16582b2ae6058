//! Datasets in memory, and the cache that keeps them between jobs.

pub mod cifar;
pub mod digits;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use offramp_domain::dataset::{self, Dataset, DatasetError, Source};
use offramp_domain::shape::Shape;

/// Images of one shape with their classes, one byte a pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Shape of one image.
    pub shape: Shape,
    /// All pixels: image by image, channel by channel, row by row.
    pub pixels: Vec<u8>,
    /// One class an image.
    pub labels: Vec<u8>,
}

impl Images {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Pixels of one image.
    pub const fn image_len(&self) -> usize {
        self.shape.channels * self.shape.positions()
    }

    /// The pixels of image `index`: channel by channel, row by row.
    pub fn pixels_of(&self, index: u32) -> &[u8] {
        &self.pixels[index as usize * self.image_len()..][..self.image_len()]
    }
}

/// A dataset's two splits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedDataset {
    /// What there is to learn from.
    pub train: Images,
    /// What accuracies are measured on.
    pub test: Images,
}

/// Datasets that were read once and stay in memory.
#[derive(Debug, Default)]
pub struct Cache {
    loaded: BTreeMap<(PathBuf, String), Arc<LoadedDataset>>,
}

impl Cache {
    /// Gives a dataset, reading it where that has not happened yet.
    ///
    /// # Errors
    /// When there is no such dataset, or its files under `data_dir` are missing or damaged. A later call tries again.
    pub fn get(&mut self, name: &str, data_dir: &Path) -> Result<Arc<LoadedDataset>, DataError> {
        let key = (data_dir.to_owned(), name.to_owned());
        if let Some(known) = self.loaded.get(&key) {
            return Ok(Arc::clone(known));
        }
        let fresh = Arc::new(load(&dataset::parse(name)?, data_dir)?);
        self.loaded.insert(key, Arc::clone(&fresh));
        Ok(fresh)
    }
}

/// Reads a dataset: the embedded one, or its files under `data_dir`.
///
/// # Errors
/// When files are missing or damaged.
pub fn load(facts: &Dataset, data_dir: &Path) -> Result<LoadedDataset, DataError> {
    match facts.source {
        Source::Digits => Ok(digits::load()),
        Source::Cifar10 => cifar::load_cifar10(data_dir),
        Source::Cifar100 => cifar::load_cifar100(data_dir),
        _ => Err(DataError::NoReader(facts.name.clone())),
    }
}

/// Why a dataset could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// See [`DatasetError`].
    #[error(transparent)]
    Unknown(#[from] DatasetError),
    /// There is no reader for this dataset.
    #[error("this program cannot read `{0}`")]
    NoReader(String),
    /// A file could not be read.
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_reads_once_and_shares() {
        let mut cache = Cache::default();
        let first = cache.get("digits", Path::new("nowhere")).unwrap();
        let second = cache.get("digits", Path::new("nowhere")).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn an_unknown_name_and_a_missing_folder_are_said() {
        let mut cache = Cache::default();
        assert_eq!(cache.get("mnsit", Path::new("nowhere")).unwrap_err().to_string(), "no dataset is called `mnsit`");
        let missing = cache.get("cifar10", Path::new("nowhere")).unwrap_err();
        assert!(missing.to_string().contains("nowhere"), "{missing}");
    }
}
