//! The catalogue of datasets: what a network must know of one before any file is read.

use crate::shape::Shape;

/// A dataset's facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dataset {
    /// Its name in sweep files.
    pub name: &'static str,
    /// Shape of one image.
    pub input: Shape,
    /// Number of classes.
    pub n_classes: usize,
    /// Whether the binary contains it.
    pub embedded: bool,
}

/// Every dataset there is a reader for.
pub const DATASETS: &[Dataset] = &[
    Dataset { name: "digits", input: Shape::new(1, 8, 8), n_classes: 10, embedded: true },
    Dataset { name: "cifar10", input: Shape::new(3, 32, 32), n_classes: 10, embedded: false },
    Dataset { name: "cifar100", input: Shape::new(3, 32, 32), n_classes: 100, embedded: false },
];

/// Finds a dataset by its name.
pub fn find(name: &str) -> Option<&'static Dataset> {
    DATASETS.iter().find(|dataset| dataset.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datasets_are_found_by_their_exact_name() {
        let cifar = find("cifar100").unwrap();
        assert_eq!((cifar.input, cifar.n_classes, cifar.embedded), (Shape::new(3, 32, 32), 100, false));
        assert_eq!(find("CIFAR100"), None);
        assert_eq!(find(""), None);
    }

    #[test]
    fn names_are_unique_and_every_dataset_has_something_to_tell_apart() {
        for (index, dataset) in DATASETS.iter().enumerate() {
            assert!(DATASETS[index + 1..].iter().all(|later| later.name != dataset.name), "{}", dataset.name);
            assert!(dataset.n_classes >= 2 && dataset.input.channels >= 1, "{}", dataset.name);
        }
    }
}
