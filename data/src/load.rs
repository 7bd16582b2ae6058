//! From a dataset's facts to its images.

use std::path::Path;

use offramp_domain::dataset::{Dataset, Source};

use crate::{DataError, LoadedDataset, cifar, digits, folder, idx, svhn, synthetic, tiny_imagenet};

/// Reads a dataset: an embedded or generated one, or its files under `data_dir`.
///
/// # Errors
/// When files are missing or damaged.
pub fn load(facts: &Dataset, data_dir: &Path) -> Result<LoadedDataset, DataError> {
    match &facts.source {
        Source::Digits => Ok(digits::load()),
        Source::Cifar10 => cifar::load_cifar10(data_dir),
        Source::Cifar100 => cifar::load_cifar100(data_dir),
        Source::Svhn { extra } => svhn::load(data_dir, *extra),
        Source::Mnist => idx::load_mnist(data_dir),
        Source::FashionMnist => idx::load_fashion_mnist(data_dir),
        Source::TinyImageNet => tiny_imagenet::load(data_dir),
        Source::Synthetic { n_train, n_test } => synthetic::load(facts.input, facts.n_classes, *n_train, *n_test),
        Source::Folder { folder } => folder::load(&data_dir.join(folder), facts.input, facts.n_classes),
    }
}

#[cfg(test)]
mod tests {
    use offramp_domain::dataset;

    use super::*;

    #[test]
    fn a_missing_folder_is_said_for_every_dataset_with_files() {
        for facts in dataset::named().filter(|facts| !facts.is_built_in()) {
            let error = load(&facts, Path::new("nowhere")).unwrap_err().to_string();
            assert!(error.contains("nowhere"), "{}: {error}", facts.name);
        }
    }

    #[test]
    fn what_is_read_has_the_shape_and_the_classes_that_networks_are_built_for() {
        for name in ["digits", "synthetic-2x5x7-3-20-10"] {
            let facts = dataset::parse(name).unwrap();
            let LoadedDataset { train, test } = load(&facts, Path::new("nowhere")).unwrap();
            for images in [train, test] {
                assert_eq!(images.shape, facts.input);
                assert_eq!(images.pixels.len(), images.len() * images.image_len());
                assert!(images.labels.iter().all(|&label| usize::from(label) < facts.n_classes));
            }
        }
    }
}
