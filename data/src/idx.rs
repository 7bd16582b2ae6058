//! MNIST and Fashion-MNIST: files in the IDX layout, plain or gzipped.
//!
//! # Source
//! Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"; H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST",
//! arXiv 1708.07747. A file of images is the number 0x803, the number of images, of rows and of columns, all big-endian and of 32 bits, then
//! the images row by row, one byte a pixel; a file of labels is 0x801, their number, then one byte a label.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use offramp_domain::shape::Shape;

use crate::stream::Stream;
use crate::{DataError, Images, LoadedDataset};

const SHAPE: Shape = Shape::new(1, 28, 28);
const N_CLASSES: u8 = 10;
const IMAGES_MAGIC: u32 = 0x803;
const LABELS_MAGIC: u32 = 0x801;
/// Most images in a file. A file says how many it has; this bounds what is unpacked on its word.
const MAX_IMAGES: u32 = 1 << 20;

/// Folder of MNIST in the data folder.
pub const MNIST_FOLDER: &str = "mnist";
/// Folder of Fashion-MNIST in the data folder.
pub const FASHION_MNIST_FOLDER: &str = "fashion-mnist";
/// The four files, without the suffix of compressed ones: training images and labels, test images and labels.
pub const FILES: [&str; 4] = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// Reads the four files in `mnist/`, each plain or with the suffix `.gz`; where both are there, the plain one.
///
/// # Errors
/// When a file is missing or damaged.
pub fn load_mnist(data_dir: &Path) -> Result<LoadedDataset, DataError> {
    load(&data_dir.join(MNIST_FOLDER))
}

/// Reads the four files in `fashion-mnist/`, as [`load_mnist`] does.
///
/// # Errors
/// When a file is missing or damaged.
pub fn load_fashion_mnist(data_dir: &Path) -> Result<LoadedDataset, DataError> {
    load(&data_dir.join(FASHION_MNIST_FOLDER))
}

fn load(folder: &Path) -> Result<LoadedDataset, DataError> {
    let [train_images, train_labels, test_images, test_labels] = FILES.map(|file| path_of(folder, file));
    Ok(LoadedDataset { train: read_split(&train_images, &train_labels)?, test: read_split(&test_images, &test_labels)? })
}

/// The plain file where it is there, else the compressed one.
pub(crate) fn path_of(folder: &Path, file: &str) -> PathBuf {
    let plain = folder.join(file);
    if plain.exists() { plain } else { folder.join(format!("{file}.gz")) }
}

fn read_split(images_path: &Path, labels_path: &Path) -> Result<Images, DataError> {
    let pixels = read_images(&mut open(images_path)?)?;
    let labels = read_labels(&mut open(labels_path)?)?;
    let n = pixels.len() / SHAPE.positions();
    if labels.len() != n {
        let (expected, got) = (format!("as many labels as there are images, {n}"), labels.len().to_string());
        return Err(DataError::Content { path: labels_path.to_owned(), offset: 4, expected, got });
    }
    Ok(Images { shape: SHAPE, pixels, labels })
}

fn open(path: &Path) -> Result<Stream<Box<dyn Read>>, DataError> {
    let file = File::open(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    let file = BufReader::new(file);
    let is_compressed = path.extension().is_some_and(|extension| extension == "gz");
    let reader: Box<dyn Read> = if is_compressed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    Ok(Stream::new(reader, path, 0))
}

fn read_images<R: Read>(stream: &mut Stream<R>) -> Result<Vec<u8>, DataError> {
    read_magic(stream, IMAGES_MAGIC)?;
    let n = read_count(stream)?;
    for side in [SHAPE.height, SHAPE.width] {
        let got = u32::from_be_bytes(stream.array("a side")?);
        if got as usize != side {
            return Err(stream.content_at(stream.offset() - 4, format!("a side of {side} pixels"), got.to_string()));
        }
    }
    let mut pixels = Vec::new();
    stream.append(&mut pixels, u64::from(n) * SHAPE.positions() as u64, "pixels")?;
    stream.end()?;
    Ok(pixels)
}

fn read_labels<R: Read>(stream: &mut Stream<R>) -> Result<Vec<u16>, DataError> {
    read_magic(stream, LABELS_MAGIC)?;
    let n = read_count(stream)?;
    let start = stream.offset();
    let mut labels = Vec::new();
    stream.append(&mut labels, n.into(), "labels")?;
    stream.end()?;
    if let Some((label, offset)) = labels.iter().zip(start..).find(|(label, _)| **label >= N_CLASSES) {
        return Err(stream.content_at(offset, format!("a label below {N_CLASSES}"), label.to_string()));
    }
    Ok(labels.into_iter().map(u16::from).collect())
}

fn read_magic<R: Read>(stream: &mut Stream<R>, expected: u32) -> Result<(), DataError> {
    let got = u32::from_be_bytes(stream.array("the layout's number")?);
    if got == expected { Ok(()) } else { Err(stream.content_at(0, format!("the number {expected:#x}"), format!("{got:#x}"))) }
}

fn read_count<R: Read>(stream: &mut Stream<R>) -> Result<u32, DataError> {
    let n = u32::from_be_bytes(stream.array("how many there are")?);
    if (1..=MAX_IMAGES).contains(&n) {
        Ok(n)
    } else {
        Err(stream.content_at(4, format!("a number of images from 1 to {MAX_IMAGES}"), n.to_string()))
    }
}

#[cfg(test)]
mod tests;
