//! SVHN's cropped digits, from MATLAB's files.
//!
//! # Source
//! Y. Netzer, T. Wang, A. Coates, A. Bissacco, B. Wu, A. Ng, "Reading Digits in Natural Images with Unsupervised Feature Learning" (2011).
//! A file has the array `X` of 32 rows, 32 columns, 3 channels and so many images, rows varying fastest, and the array `y` of labels 1 to 10,
//! where 10 stands for the digit 0.

use std::path::Path;

use offramp_domain::shape::Shape;

use crate::{DataError, Images, LoadedDataset, matlab};

const SHAPE: Shape = Shape::new(3, 32, 32);
/// Most images in a file: twice those of the largest one.
const MAX_IMAGES: u64 = 1 << 20;

/// Its folder in the data folder.
pub const FOLDER: &str = "svhn";
/// The file of the training split.
pub const TRAIN: &str = "train_32x32.mat";
/// The file of the test split.
pub const TEST: &str = "test_32x32.mat";
/// The file of additional, easier training images.
pub const EXTRA: &str = "extra_32x32.mat";

/// Reads `svhn/train_32x32.mat`, with `svhn/extra_32x32.mat` after it where that is asked for, and `svhn/test_32x32.mat`. The classes are the
/// digits 0 to 9.
///
/// # Errors
/// When a file is missing or damaged.
pub fn load(data_dir: &Path, with_extra: bool) -> Result<LoadedDataset, DataError> {
    let folder = data_dir.join(FOLDER);
    let mut train = read(&folder.join(TRAIN))?;
    if with_extra {
        let extra = read(&folder.join(EXTRA))?;
        train.pixels.extend(extra.pixels);
        train.labels.extend(extra.labels);
    }
    Ok(LoadedDataset { train, test: read(&folder.join(TEST))? })
}

fn read(path: &Path) -> Result<Images, DataError> {
    let (mut pixels, mut labels) = (None, None);
    matlab::arrays(path, |header, values| match header.name.as_str() {
        "X" => {
            let n = match *header.sizes.as_slice() {
                [32, 32, 3, n @ 1..=MAX_IMAGES] => n,
                // MATLAB drops a last size of 1.
                [32, 32, 3] => 1,
                _ => {
                    let expected = format!("`X` of 32x32x3 and 1 to {MAX_IMAGES} images");
                    return Err(values.content(expected, format!("sizes {:?}", header.sizes)));
                }
            };
            let mut all = Vec::new();
            let image_len = SHAPE.channels * SHAPE.positions();
            values.byte_records(n, image_len as u64, |image| all.extend(transposed(image)))?;
            pixels = Some(all);
            Ok(())
        }
        "y" => {
            let n: u64 = header.sizes.iter().try_fold(1_u64, |product, &size| product.checked_mul(size)).unwrap_or(u64::MAX);
            let is_vector = header.sizes.iter().filter(|&&size| size != 1).count() <= 1;
            if !is_vector || n == 0 || n > MAX_IMAGES {
                return Err(values.content(format!("`y`, a vector of 1 to {MAX_IMAGES} labels"), format!("sizes {:?}", header.sizes)));
            }
            let class = |(label, offset): (u8, u64)| match label {
                10 => Ok(0),
                1..=9 => Ok(u16::from(label)),
                _ => Err(DataError::Content {
                    path: path.to_owned(),
                    offset,
                    expected: "a label from 1 to 10".to_owned(),
                    got: label.to_string(),
                }),
            };
            labels = Some(values.small_numbers(n)?.into_iter().map(class).collect::<Result<Vec<u16>, _>>()?);
            Ok(())
        }
        _ => Ok(()),
    })?;
    let lacks = |name: &str| DataError::Folder { path: path.to_owned(), expected: format!("an array `{name}`"), got: "none".to_owned() };
    let pixels = pixels.ok_or_else(|| lacks("X"))?;
    let labels = labels.ok_or_else(|| lacks("y"))?;
    let n = pixels.len() / (SHAPE.channels * SHAPE.positions());
    if labels.len() != n {
        let expected = format!("as many labels in `y` as there are images in `X`, {n}");
        return Err(DataError::Folder { path: path.to_owned(), expected, got: labels.len().to_string() });
    }
    Ok(Images { shape: SHAPE, pixels, labels })
}

/// One image with columns varying fastest; MATLAB has its rows do so.
fn transposed(image: &[u8]) -> impl Iterator<Item = u8> {
    let planes = image.chunks_exact(SHAPE.positions());
    planes.flat_map(|plane| (0..SHAPE.height).flat_map(move |row| (0..SHAPE.width).map(move |column| plane[column * SHAPE.height + row])))
}

#[cfg(test)]
mod tests;
