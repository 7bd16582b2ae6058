//! Generated images: of any shape, with classes that can be learnt.
//!
//! Each class has a pattern of coarse cells. An image is its class's pattern, moved by a few pixels, at a contrast of its own, with noise on
//! every pixel. Accuracies on them mean nothing; they are for load tests and for trying a sweep out.

use offramp_domain::shape::Shape;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::images::black;
use crate::{DataError, Images, LoadedDataset};

/// Cells of a pattern along each side, where the image has as many pixels.
const CELLS: usize = 6;
/// Which stream of random numbers is which: patterns of classes, images of the two splits.
const PATTERNS: u64 = 0;
const TRAIN: u64 = 1;
const TEST: u64 = 2;

/// Generates a dataset. A pure function of its arguments, the same on every machine, and image `i` of a split does not depend on how many
/// follow it. Classes take turns, so each has as many images as any other, or one more.
///
/// # Errors
/// When there is no room for the images.
pub fn load(shape: Shape, n_classes: usize, n_train: u32, n_test: u32) -> Result<LoadedDataset, DataError> {
    let seed = seed(shape, n_classes);
    Ok(LoadedDataset { train: split(shape, n_classes, n_train, seed, TRAIN)?, test: split(shape, n_classes, n_test, seed, TEST)? })
}

/// A stream of random numbers: `domain` says what for, `index` for which class or image.
fn stream(seed: [u8; 32], domain: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::from_seed(seed);
    rng.set_stream(index * 3 + domain);
    rng
}

fn seed(shape: Shape, n_classes: usize) -> [u8; 32] {
    let mut seed = [0; 32];
    for (bytes, number) in seed.chunks_exact_mut(8).zip([shape.channels, shape.height, shape.width, n_classes]) {
        bytes.copy_from_slice(&(number as u64).to_le_bytes());
    }
    seed
}

fn split(shape: Shape, n_classes: usize, n: u32, seed: [u8; 32], domain: u64) -> Result<Images, DataError> {
    let mut pixels = black(shape, n as usize)?;
    let patterns: Vec<Vec<u8>> = (0..n_classes.min(n as usize)).map(|class| pattern(shape, seed, class)).collect();
    let image_len = shape.channels * shape.positions();
    let labels: Vec<u16> = (0..n as usize).map(|index| (index % n_classes) as u16).collect();
    for (index, (image, &label)) in pixels.chunks_exact_mut(image_len).zip(&labels).enumerate() {
        draw(image, shape, &patterns[usize::from(label)], &mut stream(seed, domain, index as u64));
    }
    Ok(Images { shape, pixels, labels })
}

/// A class's cells, channel by channel.
fn pattern(shape: Shape, seed: [u8; 32], class: usize) -> Vec<u8> {
    let mut cells = vec![0; shape.channels * CELLS * CELLS];
    stream(seed, PATTERNS, class as u64).fill_bytes(&mut cells);
    cells
}

/// Draws one image. Whole numbers alone, so that no rounding differs between machines.
fn draw(image: &mut [u8], shape: Shape, pattern: &[u8], rng: &mut ChaCha8Rng) {
    let mut head = [0; 3];
    rng.fill_bytes(&mut head);
    // Up to an eighth of a side, round the edge, and a contrast of 40 to 100 %.
    let shift = |byte: u8, side: usize| usize::from(byte) % (side / 8 + 1);
    let (down, right) = (shift(head[0], shape.height), shift(head[1], shape.width));
    let contrast = 40 + i32::from(head[2]) % 61;
    rng.fill_bytes(image);
    for (plane, cells) in image.chunks_exact_mut(shape.positions()).zip(pattern.chunks_exact(CELLS * CELLS)) {
        for (row, line) in plane.chunks_exact_mut(shape.width).enumerate() {
            let cell_row = (row + down) % shape.height * CELLS / shape.height;
            for (column, value) in line.iter_mut().enumerate() {
                let cell_column = (column + right) % shape.width * CELLS / shape.width;
                let signal = (i32::from(cells[cell_row * CELLS + cell_column]) - 128) * contrast / 200;
                let noise = (i32::from(*value) - 128) / 3;
                *value = (128 + signal + noise).clamp(0, 255) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape::new(3, 12, 16);

    #[test]
    fn images_are_a_pure_function_and_a_longer_set_begins_like_a_shorter_one() {
        let short = load(SHAPE, 5, 20, 10).unwrap();
        let long = load(SHAPE, 5, 40, 20).unwrap();
        assert_eq!(short, load(SHAPE, 5, 20, 10).unwrap());
        assert_eq!(long.train.pixels[..short.train.pixels.len()], short.train.pixels);
        assert_eq!(long.test.labels[..10], short.test.labels);
        assert_ne!(short.train.pixels_of(0), short.test.pixels_of(0), "splits share no image");
        assert_ne!(short.train.pixels_of(0), short.train.pixels_of(5), "nor do two images of a class");
    }

    #[test]
    fn classes_take_turns() {
        let LoadedDataset { train, test } = load(SHAPE, 3, 7, 2).unwrap();
        assert_eq!((train.labels, test.labels), (vec![0, 1, 2, 0, 1, 2, 0], vec![0, 1]));
    }

    /// The rule that any classifier should beat: the class whose training images' mean is nearest.
    #[test]
    fn classes_can_be_learnt_and_not_by_chance() {
        let (n_classes, shape) = (10, Shape::new(1, 8, 8));
        let LoadedDataset { train, test } = load(shape, n_classes, 400, 200).unwrap();
        let mut sums = vec![vec![0.0; shape.positions()]; n_classes];
        for index in 0..400 {
            for (sum, &pixel) in sums[usize::from(train.labels[index as usize])].iter_mut().zip(train.pixels_of(index)) {
                *sum += f64::from(pixel) / 40.0;
            }
        }
        let distance = |mean: &[f64], image: &[u8]| mean.iter().zip(image).map(|(m, &p)| (m - f64::from(p)).powi(2)).sum::<f64>();
        let nearest = |image: &[u8]| {
            let by_distance = |a: &usize, b: &usize| distance(&sums[*a], image).total_cmp(&distance(&sums[*b], image));
            (0..n_classes).min_by(by_distance).unwrap()
        };
        let n_right = (0..200).filter(|&index| nearest(test.pixels_of(index)) == usize::from(test.labels[index as usize])).count();
        assert!((140..200).contains(&n_right), "{n_right} of 200");
    }

    #[test]
    fn any_shape_will_do() {
        for shape in [Shape::new(1, 1, 1), Shape::new(16, 3, 40)] {
            let LoadedDataset { train, test } = load(shape, 2, 4, 3).unwrap();
            assert_eq!((train.pixels.len(), test.pixels.len()), (4 * train.image_len(), 3 * test.image_len()));
        }
    }
}
