//! Mean and deviation of a split's pixels.

use crate::Images;

/// Mean and standard deviation of each channel over all pixels of all images, where 0 is black and 1 is white.
///
/// The deviation is that of the whole set. Some published values are means of the images' own deviations, which are smaller.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// One a channel.
    pub mean: Vec<f64>,
    /// One a channel.
    pub deviation: Vec<f64>,
}

impl Statistics {
    /// Measures images, whose largest pixel value is 255. Exact up to the last division: values are counted, not summed up.
    pub fn measure(images: &Images) -> Self {
        let positions = images.shape.positions();
        let mut counts = vec![[0_u64; 256]; images.shape.channels];
        for image in images.pixels.chunks_exact(images.image_len().max(1)) {
            for (counts, plane) in counts.iter_mut().zip(image.chunks_exact(positions)) {
                for &pixel in plane {
                    counts[usize::from(pixel)] += 1;
                }
            }
        }
        let (mean, deviation) = counts.iter().map(of_counts).unzip();
        Self { mean, deviation }
    }
}

fn of_counts(counts: &[u64; 256]) -> (f64, f64) {
    let n = counts.iter().sum::<u64>().max(1) as f64;
    let mean_of = |f: &dyn Fn(f64) -> f64| {
        counts.iter().zip(0..=u8::MAX).map(|(&count, value)| count as f64 * f(f64::from(value) / 255.0)).sum::<f64>() / n
    };
    let mean = mean_of(&|value| value);
    (mean, mean_of(&|value| (value - mean).powi(2)).sqrt())
}

#[cfg(test)]
mod tests {
    use offramp_domain::shape::Shape;

    use super::*;
    use crate::{LoadedDataset, digits};

    #[test]
    fn channels_are_measured_apart() {
        // Channel 0: 0, 51, 102, 255, mean 0.4, variance (0.16 + 0.04 + 0 + 0.36) / 4 = 0.14. Channel 1: 255 everywhere.
        let pixels = vec![0, 51, 255, 255, 102, 255, 255, 255];
        let found = Statistics::measure(&Images { shape: Shape::new(2, 1, 2), pixels, labels: vec![0, 1] });
        assert!((found.mean[0] - 0.4).abs() < 1e-15 && (found.deviation[0] - 0.14_f64.sqrt()).abs() < 1e-15, "{found:?}");
        assert_eq!((found.mean[1], found.deviation[1]), (1.0, 0.0));
    }

    #[test]
    fn the_digits_have_the_statistics_that_numpy_finds() {
        // NumPy on scikit-learn's `load_digits().data / 16`: mean 0.30526, standard deviation 0.37605.
        let LoadedDataset { train, test } = digits::load();
        let pixels = [train.pixels, test.pixels].concat();
        let found = Statistics::measure(&Images { shape: train.shape, pixels, labels: vec![] });
        let of_16 = |value: f64| value * 255.0 / 16.0;
        assert!((of_16(found.mean[0]) - 0.305_26).abs() < 5e-6, "{found:?}");
        assert!((of_16(found.deviation[0]) - 0.376_05).abs() < 5e-6, "{found:?}");
    }
}
