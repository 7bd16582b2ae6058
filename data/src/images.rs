//! Images in memory, and the cache that keeps them between jobs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use offramp_domain::dataset;
use offramp_domain::shape::Shape;

use crate::DataError;

/// Images of one shape with their classes, one byte a pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Shape of one image.
    pub shape: Shape,
    /// All pixels: image by image, channel by channel, row by row.
    pub pixels: Vec<u8>,
    /// One class an image.
    pub labels: Vec<u16>,
}

impl Images {
    /// No images yet.
    pub const fn none(shape: Shape) -> Self {
        Self { shape, pixels: Vec::new(), labels: Vec::new() }
    }

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

/// Black pixels of `n` images, to be filled in.
///
/// # Errors
/// When there is no room for them.
pub(crate) fn black(shape: Shape, n: usize) -> Result<Vec<u8>, DataError> {
    let n_bytes = n.checked_mul(shape.channels * shape.positions());
    let mut pixels = Vec::new();
    let reserved = n_bytes.and_then(|n_bytes| pixels.try_reserve_exact(n_bytes).is_ok().then_some(n_bytes));
    let Some(n_bytes) = reserved else {
        return Err(DataError::Memory { bytes: (n as u64).saturating_mul((shape.channels * shape.positions()) as u64) });
    };
    pixels.resize(n_bytes, 0);
    Ok(pixels)
}

/// A dataset's two splits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedDataset {
    /// What there is to learn from.
    pub train: Images,
    /// What accuracies are measured on.
    pub test: Images,
}

/// The dataset that was read last, which stays in memory: jobs of a sweep mostly share it, and a second large one may not fit beside it.
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
        let facts = dataset::parse(name)?;
        self.make_room();
        let fresh = Arc::new(crate::load(&facts, data_dir)?);
        self.loaded.insert(key, Arc::clone(&fresh));
        Ok(fresh)
    }

    /// Forgets datasets, so that those that stay take no more than [`KEPT_BYTES`].
    fn make_room(&mut self) {
        let bytes: usize = self.loaded.values().map(|dataset| dataset.train.pixels.len() + dataset.test.pixels.len()).sum();
        if bytes > KEPT_BYTES {
            self.loaded.clear();
        }
    }
}

/// Most bytes of images that stay in memory while another dataset is read: small datasets are kept side by side, and of large ones there is
/// one at a time.
const KEPT_BYTES: usize = 1 << 29;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_reads_once_and_shares() {
        let mut cache = Cache::default();
        let first = cache.get("digits", Path::new("nowhere")).unwrap();
        let other = cache.get("synthetic-1x4x4-2-4-4", Path::new("nowhere")).unwrap();
        let second = cache.get("digits", Path::new("nowhere")).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &other));
    }

    #[test]
    fn large_datasets_do_not_pile_up() {
        let shape = Shape::new(1, 1, 1);
        let large = Images { shape, pixels: vec![0; KEPT_BYTES + 1], labels: Vec::new() };
        let large = Arc::new(LoadedDataset { train: large, test: Images::none(shape) });
        let held = Arc::downgrade(&large);
        let mut cache = Cache { loaded: BTreeMap::from([(("nowhere".into(), "large".into()), large)]) };
        assert_eq!(held.strong_count(), 1);
        cache.get("digits", Path::new("nowhere")).unwrap();
        assert_eq!(held.strong_count(), 0);
    }

    #[test]
    fn an_unknown_name_and_a_missing_folder_are_said() {
        let mut cache = Cache::default();
        assert_eq!(cache.get("mnsit", Path::new("nowhere")).unwrap_err().to_string(), "no dataset is called `mnsit`");
        let missing = cache.get("cifar10", Path::new("nowhere")).unwrap_err();
        assert!(missing.to_string().contains("nowhere"), "{missing}");
    }

    #[test]
    fn what_cannot_be_held_is_said_and_not_tried() {
        let error = black(Shape::new(3, 1024, 1024), usize::MAX / 3).unwrap_err();
        assert!(matches!(error, DataError::Memory { bytes: u64::MAX }), "{error}");
        assert_eq!(black(Shape::new(3, 2, 2), 2).unwrap(), [0; 24]);
    }
}
