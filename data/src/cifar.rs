//! CIFAR-10 and CIFAR-100 in their official binary layout.
//!
//! # Source
//! A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009); the layout is that of the "binary version" archives: a
//! record is one label byte (CIFAR-10) or a coarse and a fine one (CIFAR-100), then 3,072 pixel bytes: the red, the green, the blue plane.

use std::fs;
use std::path::{Path, PathBuf};

use offramp_domain::shape::Shape;

use crate::{DataError, Images, LoadedDataset};

/// CIFAR-10's folder in the data folder.
pub const CIFAR10_FOLDER: &str = "cifar-10-batches-bin";
/// CIFAR-100's folder in the data folder.
pub const CIFAR100_FOLDER: &str = "cifar-100-binary";

const SHAPE: Shape = Shape::new(3, 32, 32);
const N_PIXELS: usize = 3 * 32 * 32;

/// How records are laid out.
#[derive(Debug, Clone, Copy)]
struct Layout {
    n_label_bytes: usize,
    /// Which label byte is the class.
    class_byte: usize,
    n_classes: usize,
}

const CIFAR10: Layout = Layout { n_label_bytes: 1, class_byte: 0, n_classes: 10 };
const CIFAR100: Layout = Layout { n_label_bytes: 2, class_byte: 1, n_classes: 100 };

/// Reads `cifar-10-batches-bin/data_batch_{1..5}.bin`, those that are there, and `test_batch.bin`. Files may hold fewer records than the
/// official ones.
///
/// # Errors
/// When no training file or no test file is there, or one is damaged.
pub fn load_cifar10(data_dir: &Path) -> Result<LoadedDataset, DataError> {
    let folder = data_dir.join(CIFAR10_FOLDER);
    let batches: Vec<PathBuf> = (1..=5).map(|n| folder.join(format!("data_batch_{n}.bin"))).filter(|path| path.exists()).collect();
    if batches.is_empty() {
        return Err(DataError::NoFiles { folder, expected: "data_batch_1.bin` to `data_batch_5.bin" });
    }
    Ok(LoadedDataset { train: read_files(&batches, CIFAR10)?, test: read_files(&[folder.join("test_batch.bin")], CIFAR10)? })
}

/// Reads `cifar-100-binary/train.bin` and `test.bin`; the class is the fine label.
///
/// # Errors
/// When a file is missing or damaged.
pub fn load_cifar100(data_dir: &Path) -> Result<LoadedDataset, DataError> {
    let folder = data_dir.join(CIFAR100_FOLDER);
    Ok(LoadedDataset { train: read_files(&[folder.join("train.bin")], CIFAR100)?, test: read_files(&[folder.join("test.bin")], CIFAR100)? })
}

fn read_files(paths: &[PathBuf], layout: Layout) -> Result<Images, DataError> {
    let mut images = Images::none(SHAPE);
    for path in paths {
        let bytes = fs::read(path).map_err(|source| DataError::Io { path: path.clone(), source })?;
        append_records(&mut images, &bytes, layout, path)?;
    }
    Ok(images)
}

fn append_records(images: &mut Images, bytes: &[u8], layout: Layout, path: &Path) -> Result<(), DataError> {
    let record_len = layout.n_label_bytes + N_PIXELS;
    if bytes.is_empty() {
        return Err(DataError::Empty { path: path.to_owned() });
    }
    let records = bytes.chunks_exact(record_len);
    if let got @ 1.. = records.remainder().len() {
        return Err(DataError::Truncated { path: path.to_owned(), offset: bytes.len() - got, expected: record_len, got });
    }
    for (index, record) in records.enumerate() {
        let (labels, pixels) = record.split_at(layout.n_label_bytes);
        let label = labels[layout.class_byte];
        if usize::from(label) >= layout.n_classes {
            let offset = index * record_len + layout.class_byte;
            return Err(DataError::Label { path: path.to_owned(), offset, got: label, n_classes: layout.n_classes });
        }
        images.labels.push(label.into());
        images.pixels.extend_from_slice(pixels);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
