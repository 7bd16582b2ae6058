//! What an epoch shows the network: the order of images, what is done to each, and the numbers that reach the device.

use offramp_data::Images;
use offramp_domain::job::{Augment, Recipe};
use offramp_domain::shape::Shape;
use rand_distr::{Beta, Distribution};

use crate::chance::{self, Purpose};

/// One image of an epoch and what is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Which image.
    pub index: u32,
    /// Rows that the image is moved down, padding coming in at the top; negative is up.
    pub down: i16,
    /// Columns that the image is moved right, padding coming in at the left; negative is left.
    pub right: i16,
    /// What comes in.
    pub padding: Padding,
    /// Whether left and right are exchanged, after the move.
    pub flipped: bool,
    /// What is blanked in the end.
    pub blank: Option<Square>,
}

/// What lies around an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// Pixel value 0.
    Zeros,
    /// The image mirrored at its outermost rows and columns, which are not repeated: `c b | a b c | b a`.
    Mirrored,
}

/// A square of pixels, part of which may lie outside the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Square {
    /// Its first row.
    pub top: i32,
    /// Its first column.
    pub left: i32,
    /// Its side.
    pub side: u32,
}

/// What the network is shown at one place of an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The image.
    pub view: View,
    /// What it is blended with.
    pub mixed: Option<Mixed>,
}

/// The other image of a blend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixed {
    /// The image.
    pub with: View,
    /// Its share, in pixels and in the target; the sample's own image has the rest.
    pub share: f32,
}

impl View {
    /// The image as it is.
    pub const fn plain(index: u32) -> Self {
        Self { index, down: 0, right: 0, padding: Padding::Zeros, flipped: false, blank: None }
    }
}

impl Sample {
    /// One image, as it is.
    pub const fn plain(index: u32) -> Self {
        Self { view: View::plain(index), mixed: None }
    }
}

/// The samples of an epoch in the order of training: a pure function of its arguments. `shape` is that of an image.
///
/// A crop of the image padded by an eighth of each side is the image moved by up to that much either way, each offset equally likely. The
/// blanked square's middle is equally likely on every pixel, so that near the edge less than all of it blanks anything.
///
/// # Source
/// Cutout: `DeVries` and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout". Mixup: Zhang et al., "mixup: Beyond
/// Empirical Risk Minimization"; partners come from the whole epoch and every sample draws its own share, where the authors' code shuffles a
/// batch and draws one for all of it.
pub fn epoch(train: &[u32], shape: Shape, recipe: &Recipe, seed: u64, epoch: u32) -> Vec<Sample> {
    let mut order = train.to_vec();
    chance::shuffle(&mut chance::stream(seed, Purpose::Order, epoch), &mut order);

    let (crops, flips, padding) = match recipe.augment {
        Augment::None => (false, false, Padding::Zeros),
        Augment::Crop => (true, false, Padding::Zeros),
        Augment::Flip => (false, true, Padding::Zeros),
        Augment::CropFlip => (true, true, Padding::Zeros),
        Augment::CropFlipReflect => (true, true, Padding::Mirrored),
    };
    let [n_rows, n_columns] = [shape.height, shape.width].map(|side| if crops { side / 8 } else { 0 });
    let mut rng = chance::stream(seed, Purpose::Augment, epoch);
    let mut offset = |most: usize| chance::below(&mut rng, 2 * most + 1) as i16 - most as i16;
    let mut views: Vec<View> =
        order.into_iter().map(|index| View { down: offset(n_rows), right: offset(n_columns), padding, ..View::plain(index) }).collect();
    for view in &mut views {
        view.flipped = flips && chance::below(&mut rng, 2) == 1;
    }
    if let Some(side) = recipe.cutout {
        let mut rng = chance::stream(seed, Purpose::Cutout, epoch);
        let mut first = |n_pixels: usize| chance::below(&mut rng, n_pixels) as i32 - (side / 2) as i32;
        for view in &mut views {
            view.blank = Some(Square { top: first(shape.height), left: first(shape.width), side });
        }
    }
    match recipe.mixup {
        None => views.into_iter().map(|view| Sample { view, mixed: None }).collect(),
        Some(alpha) => mix(&views, alpha, seed, epoch),
    }
}

/// Pairs every view with one of the same epoch, each being a partner once.
fn mix(views: &[View], alpha: f64, seed: u64, epoch: u32) -> Vec<Sample> {
    let mut rng = chance::stream(seed, Purpose::Mixup, epoch);
    let mut partners = views.to_vec();
    chance::shuffle(&mut rng, &mut partners);
    let beta = Beta::new(alpha, alpha).expect("`run` refuses shapes that are not above 0");
    let paired = views.iter().zip(partners);
    paired.map(|(&view, with)| Sample { view, mixed: Some(Mixed { with, share: beta.sample(&mut rng) as f32 }) }).collect()
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

/// The normalised pixels of a batch of samples. Padding of zeros has pixel value 0; what is blanked is 0 after normalisation, the mean of the
/// training images.
///
/// # Shapes
/// `[samples, channels, height, width]`, row-major.
pub fn pixels(images: &Images, normalisation: &Normalisation, samples: &[Sample]) -> Vec<f32> {
    let mut pixels = Vec::with_capacity(samples.len() * images.image_len());
    let mut partner = Vec::new();
    for sample in samples {
        let start = pixels.len();
        append(&mut pixels, images, normalisation, &sample.view);
        if let Some(Mixed { with, share }) = &sample.mixed {
            partner.clear();
            append(&mut partner, images, normalisation, with);
            for (own, other) in pixels[start..].iter_mut().zip(&partner) {
                *own = (1.0 - share) * *own + share * other;
            }
        }
    }
    pixels
}

/// Appends the normalised pixels of one view.
fn append(pixels: &mut Vec<f32>, images: &Images, normalisation: &Normalisation, view: &View) {
    let Shape { height, width, .. } = images.shape;
    let start = pixels.len();
    let planes = images.pixels_of(view.index).chunks_exact(height * width);
    for (table, plane) in normalisation.tables.iter().zip(planes) {
        for row in 0..height {
            let source_row = source(row, view.down, height, view.padding).map(|row| &plane[row * width..][..width]);
            pixels.extend((0..width).map(|column| {
                let column = if view.flipped { width - 1 - column } else { column };
                let source_column = source(column, view.right, width, view.padding);
                let value = source_row.zip(source_column).map_or(0, |(row, column)| row[column]);
                table[usize::from(value)]
            }));
        }
    }
    if let Some(square) = view.blank {
        let (rows, columns) = (square.span(square.top, height), square.span(square.left, width));
        for plane in pixels[start..].chunks_exact_mut(height * width) {
            for row in rows.clone() {
                plane[row * width..][columns.clone()].fill(0.0);
            }
        }
    }
}

impl Square {
    /// Those of `n_pixels` rows or columns that it covers, where it starts at `first`.
    fn span(self, first: i32, n_pixels: usize) -> std::ops::Range<usize> {
        let within = |end: i64| end.clamp(0, n_pixels as i64) as usize;
        within(i64::from(first))..within(i64::from(first) + i64::from(self.side))
    }
}

/// Which of `n` rows or columns is seen at `position` once they were moved by `offset`; `None` for padding of zeros.
fn source(position: usize, offset: i16, n: usize, padding: Padding) -> Option<usize> {
    let source = position as isize - isize::from(offset);
    let last = n as isize - 1;
    let source = match padding {
        Padding::Mirrored if source > last => 2 * last - source,
        Padding::Mirrored => source.abs(),
        Padding::Zeros => source,
    };
    usize::try_from(source).ok().filter(|&source| source < n)
}

#[cfg(test)]
mod tests;
