//! What an epoch shows the network: the order of images, what is done to each, and the numbers that reach the device.

use offramp_data::Images;
use offramp_domain::job::Augment;

use crate::chance::{self, Purpose};

/// One image of an epoch and what is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Which image.
    pub index: u32,
    /// Rows that the image is moved down, zeros coming in at the top; negative is up.
    pub down: i8,
    /// Columns that the image is moved right, zeros coming in at the left; negative is left.
    pub right: i8,
    /// Whether left and right are exchanged, after the move.
    pub flipped: bool,
}

impl View {
    /// The image as it is.
    pub const fn plain(index: u32) -> Self {
        Self { index, down: 0, right: 0, flipped: false }
    }
}

/// The views of an epoch in the order of training: a pure function of its arguments.
///
/// A crop of the image padded with zeros by an eighth of its side is the image moved by up to that much either way, each offset equally likely.
pub fn epoch(train: &[u32], side: usize, augment: Augment, seed: u64, epoch: u32) -> Vec<View> {
    let mut order = train.to_vec();
    chance::shuffle(&mut chance::stream(seed, Purpose::Order, epoch), &mut order);

    let crops = matches!(augment, Augment::Crop | Augment::CropFlip);
    let flips = matches!(augment, Augment::Flip | Augment::CropFlip);
    let padding = if crops { side / 8 } else { 0 };
    let mut rng = chance::stream(seed, Purpose::Augment, epoch);
    let mut offset = || (chance::below(&mut rng, 2 * padding + 1) as i8) - padding as i8;
    let moved: Vec<View> = order.into_iter().map(|index| View { index, down: offset(), right: offset(), flipped: false }).collect();
    moved.into_iter().map(|view| View { flipped: flips && chance::below(&mut rng, 2) == 1, ..view }).collect()
}

/// What each channel's pixel values become: (value - mean) / deviation, over the images that a network trains on.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalisation {
    /// One a channel, indexed by pixel value.
    tables: Vec<[f32; 256]>,
}

impl Normalisation {
    /// Measures mean and deviation per channel over the given images. A channel that never varies is only centred.
    pub fn measure(images: &Images, indices: &[u32]) -> Self {
        let positions = images.shape.positions();
        let tables = (0..images.shape.channels).map(|channel| {
            let mut counts = [0_u64; 256];
            for &index in indices {
                for &pixel in &images.pixels_of(index)[channel * positions..][..positions] {
                    counts[usize::from(pixel)] += 1;
                }
            }
            standardising_table(&counts)
        });
        Self { tables: tables.collect() }
    }
}

/// (value - mean) / deviation for every value, where `counts` says how often each occurs.
fn standardising_table(counts: &[u64; 256]) -> [f32; 256] {
    let n = counts.iter().sum::<u64>().max(1) as f64;
    let mean_of =
        |f: &dyn Fn(f64) -> f64| counts.iter().zip(0_u8..=255).map(|(&count, value)| count as f64 * f(f64::from(value))).sum::<f64>() / n;
    let mean = mean_of(&|value| value);
    let deviation = mean_of(&|value| (value - mean).powi(2)).sqrt();
    let scale = if deviation > 0.0 { deviation.recip() } else { 1.0 };
    std::array::from_fn(|value| ((value as f64 - mean) * scale) as f32)
}

/// The normalised pixels of a batch of views. What a move brings in has pixel value 0.
///
/// # Shapes
/// `[views, channels, height, width]`, row-major.
pub fn pixels(images: &Images, normalisation: &Normalisation, views: &[View]) -> Vec<f32> {
    let shape = images.shape;
    let mut pixels = Vec::with_capacity(views.len() * images.image_len());
    for view in views {
        let image = images.pixels_of(view.index);
        for (table, plane) in normalisation.tables.iter().zip(image.chunks_exact(shape.positions())) {
            for row in 0..shape.height {
                let source_row = row.checked_add_signed(-isize::from(view.down)).filter(|&row| row < shape.height);
                let source_row = source_row.map(|row| &plane[row * shape.width..][..shape.width]);
                pixels.extend((0..shape.width).map(|column| {
                    let column = if view.flipped { shape.width - 1 - column } else { column };
                    let source_column = column.checked_add_signed(-isize::from(view.right));
                    let value = source_row.zip(source_column).and_then(|(row, column)| row.get(column)).copied().unwrap_or(0);
                    table[usize::from(value)]
                }));
            }
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use offramp_domain::shape::Shape;

    use super::*;

    fn two_channel_images() -> Images {
        // Channel 0 of image 0: 1 2 / 3 4; channel 1: 10 everywhere. Image 1: 5 6 / 7 8 and 30 everywhere.
        Images { shape: Shape::new(2, 2, 2), pixels: vec![1, 2, 3, 4, 10, 10, 10, 10, 5, 6, 7, 8, 30, 30, 30, 30], labels: vec![0, 1] }
    }

    /// Leaves pixel values as they are.
    fn identity(n_channels: usize) -> Normalisation {
        Normalisation { tables: vec![std::array::from_fn(|value| value as f32); n_channels] }
    }

    #[test]
    fn normalisation_is_by_channel_over_the_training_images_alone() {
        let images = two_channel_images();
        // Channel 0: 1 to 8, mean 4.5, variance 5.25. Channel 1: mean 20, deviation 10.
        let both = Normalisation::measure(&images, &[0, 1]);
        assert_eq!(both.tables[0][1], (-3.5 / 5.25_f64.sqrt()) as f32);
        assert_eq!([both.tables[1][10], both.tables[1][30], both.tables[1][0]], [-1.0, 1.0, -2.0]);
        // Image 0 alone: channel 1 never varies.
        let first = Normalisation::measure(&images, &[0]);
        assert_eq!([first.tables[1][10], first.tables[1][12]], [0.0, 2.0]);
        assert_eq!(first.tables[0][1], (-1.5 / 1.25_f64.sqrt()) as f32);
    }

    #[test]
    fn moves_bring_in_zeros_and_flips_mirror() {
        let images = two_channel_images();
        let show = |view: View| pixels(&images, &identity(2), &[view])[..4].to_vec();
        assert_eq!(show(View::plain(1)), [5.0, 6.0, 7.0, 8.0]);
        assert_eq!(show(View { down: 1, ..View::plain(0) }), [0.0, 0.0, 1.0, 2.0]);
        assert_eq!(show(View { down: -1, ..View::plain(0) }), [3.0, 4.0, 0.0, 0.0]);
        assert_eq!(show(View { right: 1, ..View::plain(0) }), [0.0, 1.0, 0.0, 3.0]);
        assert_eq!(show(View { right: -1, ..View::plain(0) }), [2.0, 0.0, 4.0, 0.0]);
        assert_eq!(show(View { flipped: true, ..View::plain(0) }), [2.0, 1.0, 4.0, 3.0]);
        assert_eq!(show(View { right: 1, flipped: true, ..View::plain(0) }), [1.0, 0.0, 3.0, 0.0]);
    }

    #[test]
    fn an_epoch_is_a_function_of_seed_and_epoch_and_shows_every_image_once() {
        let train: Vec<u32> = (10..200).collect();
        let views = epoch(&train, 32, Augment::CropFlip, 3, 1);
        assert_eq!(epoch(&train, 32, Augment::CropFlip, 3, 1), views);
        assert_ne!(epoch(&train, 32, Augment::CropFlip, 3, 2), views);
        assert_ne!(epoch(&train, 32, Augment::CropFlip, 4, 1), views);
        let mut indices: Vec<u32> = views.iter().map(|view| view.index).collect();
        assert_ne!(indices, train);
        indices.sort_unstable();
        assert_eq!(indices, train);
    }

    #[test]
    fn crops_move_by_up_to_an_eighth_of_the_side_and_reach_it() {
        let train: Vec<u32> = (0..2000).collect();
        let range = |side, augment| {
            let views = epoch(&train, side, augment, 0, 0);
            let least = views.iter().map(|view| view.down.min(view.right)).min().unwrap();
            let most = views.iter().map(|view| view.down.max(view.right)).max().unwrap();
            (least, most, views.iter().any(|view| view.flipped))
        };
        assert_eq!(range(32, Augment::CropFlip), (-4, 4, true));
        assert_eq!(range(8, Augment::Crop), (-1, 1, false));
        assert_eq!(range(8, Augment::Flip), (0, 0, true));
        assert_eq!(range(8, Augment::None), (0, 0, false));
    }

    #[test]
    fn the_order_does_not_depend_on_the_augmentation() {
        let train: Vec<u32> = (0..50).collect();
        let order = |augment| epoch(&train, 8, augment, 5, 6).iter().map(|view| view.index).collect::<Vec<_>>();
        assert_eq!(order(Augment::None), order(Augment::CropFlip));
    }
}
