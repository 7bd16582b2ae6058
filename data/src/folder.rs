//! A folder of images, with a folder a class in each of its splits.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use offramp_domain::shape::Shape;
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::images::black;
use crate::{DataError, Images, LoadedDataset, picture};

/// The folder of the training split.
pub const TRAIN: &str = "train";
/// The folders that may hold the test split; the first that is there does. Where there are both, `test` is by custom the one without labels.
pub const TEST: [&str; 2] = ["val", "test"];

/// Reads `train/CLASS/FILE` and `val/CLASS/FILE` (or `test/` where there is no `val/`).
///
/// Classes are the folders of `train`, in the order of their names' bytes, and there must be `n_classes` of them; those of the test split are among them. Images
/// are in the order of class and name, so a dataset is the same on every machine. Files and folders whose names begin with a dot are passed
/// over; every other file must be a PNG or JPEG image. See [`picture::decode`] for how images of other sizes are brought to `shape`.
///
/// # Errors
/// When there are other classes or none, a class has no images, or a file is no image or damaged.
pub fn load(folder: &Path, shape: Shape, n_classes: usize) -> Result<LoadedDataset, DataError> {
    let train_folder = folder.join(TRAIN);
    let classes = folder_names(&train_folder)?;
    if classes.len() != n_classes {
        return Err(unexpected(&train_folder, format!("{n_classes} folders, one a class"), classes.len().to_string()));
    }
    let test_folder = test_folder(folder)?;
    if let Some(stray) = folder_names(&test_folder)?.difference(&classes).next() {
        let expected = format!("folders of classes that `{TRAIN}` has");
        return Err(unexpected(&test_folder, expected, format!("`{}`", stray.escape_debug())));
    }
    let classes: Vec<&String> = classes.iter().collect();
    let train = list(&train_folder, &classes)?;
    let test = list(&test_folder, &classes)?;
    Ok(LoadedDataset { train: decode_all(&train, shape, picture::decode)?, test: decode_all(&test, shape, picture::decode)? })
}

/// Where the test split is.
fn test_folder(folder: &Path) -> Result<PathBuf, DataError> {
    let found = TEST.iter().map(|name| folder.join(name)).find(|path| path.is_dir());
    found.ok_or_else(|| DataError::NoFiles { folder: folder.to_owned(), expected: "val` or `test" })
}

/// An image file and its class.
pub(crate) type Labelled = (PathBuf, u16);

/// Decodes files in parallel, in their order, by `decode`.
pub(crate) fn decode_all(
    files: &[Labelled],
    shape: Shape,
    decode: impl Fn(&Path, Shape, &mut [u8]) -> Result<(), DataError> + Sync,
) -> Result<Images, DataError> {
    let mut pixels = black(shape, files.len())?;
    let image_len = shape.channels * shape.positions();
    let decoded = pixels.par_chunks_exact_mut(image_len).zip(files.par_iter());
    // The first in order, however threads are scheduled: a damaged dataset is always complained of in the same words.
    let failed = decoded.map(|(image, (path, _))| decode(path, shape, image).err()).find_map_first(|error| error);
    match failed {
        Some(error) => Err(error),
        None => Ok(Images { shape, pixels, labels: files.iter().map(|(_, class)| *class).collect() }),
    }
}

/// The image files of a split, in the order of classes and names.
fn list(split: &Path, classes: &[&String]) -> Result<Vec<Labelled>, DataError> {
    let mut files = Vec::new();
    for (class, name) in (0_u16..=u16::MAX).zip(classes) {
        let folder = split.join(name);
        if !folder.is_dir() {
            continue;
        }
        let images = image_files(&folder)?;
        if images.is_empty() {
            return Err(unexpected(&folder, "images", "none"));
        }
        files.extend(images.into_iter().map(|file| (file, class)));
    }
    if files.is_empty() { Err(unexpected(split, "images", "none")) } else { Ok(files) }
}

/// The image files of a folder, by name.
pub(crate) fn image_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let names = visible_names(folder)?;
    let files: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    match files.iter().find(|file| !picture::is_named_as_one(file) || !file.is_file()) {
        Some(stray) => Err(unexpected(stray, "an image file, named .png, .jpg or .jpeg", "something else")),
        None => Ok(files),
    }
}

/// The names of a folder's folders.
pub(crate) fn folder_names(folder: &Path) -> Result<BTreeSet<String>, DataError> {
    let names = visible_names(folder)?;
    match names.iter().map(|name| folder.join(name)).find(|path| !path.is_dir()) {
        Some(stray) => Err(unexpected(&stray, "a folder", "something else")),
        None => Ok(names),
    }
}

/// The names in a folder that do not begin with a dot, sorted by their bytes.
fn visible_names(folder: &Path) -> Result<BTreeSet<String>, DataError> {
    let io_error = |source| DataError::Io { path: folder.to_owned(), source };
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(io_error)? {
        let name = entry.map_err(io_error)?.file_name();
        match name.into_string() {
            Ok(name) if name.starts_with('.') => {}
            Ok(name) => {
                names.insert(name);
            }
            Err(name) => return Err(unexpected(folder, "names in UTF-8", format!("`{}`", name.display()))),
        }
    }
    Ok(names)
}

pub(crate) fn unexpected(path: &Path, expected: impl Into<String>, got: impl Into<String>) -> DataError {
    DataError::Folder { path: path.to_owned(), expected: expected.into(), got: got.into() }
}

#[cfg(test)]
mod tests;
