//! The embedded handwritten digits.
//!
//! # Source
//! The 1,797 images of the test partition of "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak (1998), UCI Machine
//! Learning Repository, doi:10.24432/C50P49, CC BY 4.0: 8x8 pixels, values 0 to 16, ten classes. The division into a training and a test
//! split is ours: the rows whose 0-based number leaves 4 when divided by 5 are the test split (359), the others the training split (1,438).
//! Both partitions of the original come from different writers; ours does not separate writers, so accuracies read higher than on a
//! writer-independent test.

use std::io::Read;

use flate2::read::GzDecoder;
use offramp_domain::shape::Shape;

use crate::{Images, LoadedDataset};

/// One image a line: 64 pixel values and the class, separated by commas; gzip.
const CSV_GZ: &[u8] = include_bytes!("../digits/digits.csv.gz");

const SHAPE: Shape = Shape::new(1, 8, 8);

/// Unpacks the digits.
pub fn load() -> LoadedDataset {
    let mut csv = String::new();
    GzDecoder::new(CSV_GZ).read_to_string(&mut csv).expect("the embedded file is whole: a test reads it");
    let mut dataset = LoadedDataset { train: Images::none(SHAPE), test: Images::none(SHAPE) };
    for (row, line) in csv.lines().enumerate() {
        let images = if row % 5 == 4 { &mut dataset.test } else { &mut dataset.train };
        let mut values =
            line.split(',').map(|value| value.parse::<u8>().expect("the embedded file holds small whole numbers: a test reads it"));
        images.pixels.extend(values.by_ref().take(SHAPE.positions()));
        images.labels.extend(values.map(u16::from));
    }
    dataset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fifth_row_is_test_and_values_are_in_range() {
        let LoadedDataset { train, test } = load();
        assert_eq!((train.len(), test.len()), (1438, 359));
        for images in [&train, &test] {
            assert_eq!(images.pixels.len(), 64 * images.len());
            assert_eq!(images.pixels.iter().max(), Some(&16));
            assert!(images.labels.iter().all(|&label| label < 10));
        }
    }

    #[test]
    fn first_rows_are_those_of_the_published_file() {
        let LoadedDataset { train, test } = load();
        // The first image's upper two rows, and the classes in file order: 0 1 2 3 | 4 | 5 6 7 8 | 9.
        assert_eq!(train.pixels_of(0)[..16], [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0]);
        assert_eq!(train.labels[..8], [0, 1, 2, 3, 5, 6, 7, 8]);
        assert_eq!(test.labels[..2], [4, 9]);
    }

    #[test]
    fn class_sizes_are_the_published_ones() {
        // The repository's class distribution of this partition.
        let LoadedDataset { train, test } = load();
        let mut counts = [0; 10];
        for label in train.labels.into_iter().chain(test.labels) {
            counts[usize::from(label)] += 1;
        }
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }
}
