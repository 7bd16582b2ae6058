//! Tiny-ImageNet-200 as its archive unpacks.
//!
//! # Source
//! Stanford's course CS231n: 200 classes of ImageNet at 64x64, 500 training images and 50 validation images a class. The images of its test
//! folder have no labels, so its validation images are the test split here, as in most published work. Some images are grey.

use std::fs;
use std::path::{Path, PathBuf};

use offramp_domain::shape::Shape;

use crate::folder::{Labelled, decode_all, folder_names, image_files, unexpected};
use crate::{DataError, LoadedDataset, picture};

const SHAPE: Shape = Shape::new(3, 64, 64);
const N_CLASSES: usize = 200;

/// Its folder in the data folder.
pub const FOLDER: &str = "tiny-imagenet-200";
/// The file that tells the classes of validation images, within [`FOLDER`].
pub const ANNOTATIONS: &str = "val/val_annotations.txt";
/// Largest file of annotations: ten times the official one.
const MAX_ANNOTATIONS_BYTES: u64 = 1 << 23;

/// Reads `tiny-imagenet-200/train/WNID/images/FILE` and `val/images/FILE` with its classes from `val/val_annotations.txt`. Classes are in the
/// order of their WordNet ids, training images in the order of class and name, validation images in the order of the annotations.
///
/// # Errors
/// When a file is missing, damaged, or not of 64x64 pixels, or a class is missing or unknown.
pub fn load(data_dir: &Path) -> Result<LoadedDataset, DataError> {
    load_classes(&data_dir.join(FOLDER), N_CLASSES)
}

fn load_classes(folder: &Path, n_classes: usize) -> Result<LoadedDataset, DataError> {
    let train_folder = folder.join("train");
    let classes: Vec<String> = folder_names(&train_folder)?.into_iter().collect();
    if classes.len() != n_classes {
        return Err(unexpected(&train_folder, format!("{n_classes} folders, one a class"), classes.len().to_string()));
    }
    let mut train = Vec::new();
    for (class, wnid) in (0_u16..=u16::MAX).zip(&classes) {
        let images = train_folder.join(wnid).join("images");
        let files = image_files(&images)?;
        if files.is_empty() {
            return Err(unexpected(&images, "images", "none"));
        }
        train.extend(files.into_iter().map(|file| (file, class)));
    }
    let test = annotated(folder, &classes)?;
    Ok(LoadedDataset { train: decode_all(&train, SHAPE, picture::decode_exact)?, test: decode_all(&test, SHAPE, picture::decode_exact)? })
}

/// The validation images with their classes. A line is a file's name, its class's id and a box, separated by tabs.
fn annotated(folder: &Path, classes: &[String]) -> Result<Vec<Labelled>, DataError> {
    let path = folder.join(ANNOTATIONS);
    let io_error = |source| DataError::Io { path: path.clone(), source };
    let n_bytes = fs::metadata(&path).map_err(io_error)?.len();
    if n_bytes > MAX_ANNOTATIONS_BYTES {
        return Err(unexpected(&path, format!("at most {MAX_ANNOTATIONS_BYTES} bytes"), n_bytes.to_string()));
    }
    let text = fs::read_to_string(&path).map_err(io_error)?;
    let images = folder.join("val/images");
    let mut files = Vec::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        files.push(annotation(line.trim_end(), classes, &images).map_err(|(expected, got)| DataError::Content {
            path: path.clone(),
            offset,
            expected,
            got,
        })?);
        offset += line.len() as u64;
    }
    if files.is_empty() { Err(DataError::Empty { path }) } else { Ok(files) }
}

/// One line's image and class, or what was expected and what is there.
fn annotation(line: &str, classes: &[String], images: &Path) -> Result<Labelled, (String, String)> {
    let shown = || format!("`{}`", line.chars().take(40).collect::<String>().escape_debug());
    let mut columns = line.split('\t');
    let (Some(name), Some(wnid)) = (columns.next(), columns.next()) else {
        return Err(("a file's name, a tab, a class".to_owned(), shown()));
    };
    let path = PathBuf::from(name);
    if path.components().count() != 1 || path.file_name().is_none() || !picture::is_named_as_one(&path) {
        return Err(("the name of an image file".to_owned(), shown()));
    }
    match classes.binary_search_by(|class| class.as_str().cmp(wnid)) {
        Ok(class) => Ok((images.join(path), class as u16)),
        Err(_) => Err(("a class that `train` has".to_owned(), shown())),
    }
}

#[cfg(test)]
mod tests;
