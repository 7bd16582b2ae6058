//! The catalogue of datasets: what a network must know of one before any file is read.
//!
//! A dataset is told by one canonical name, which is what job keys are made of. There are names of published sets (`cifar10`), and two kinds
//! of names with numbers in them:
//!
//! - `synthetic-3x32x32-10-2000-500`: generated images; channels x height x width, classes, training images, test images.
//! - `folder-birds-3x64x64-17`: the image folder `birds`; channels x height x width that its images are brought to, classes.

use crate::shape::Shape;
use crate::spelling::{quote, suggest};

/// A dataset's facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Its canonical name.
    pub name: String,
    /// Where its images come from.
    pub source: Source,
    /// Shape of one image.
    pub input: Shape,
    /// Number of classes.
    pub n_classes: usize,
}

/// Where a dataset's images come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The binary contains them.
    Digits,
    /// CIFAR-10, binary version.
    Cifar10,
    /// CIFAR-100, binary version, with its fine labels.
    Cifar100,
    /// SVHN, cropped digits; with or without its additional training images.
    Svhn {
        /// Whether the training split has the 531,131 easier images as well.
        extra: bool,
    },
    /// MNIST's handwritten digits.
    Mnist,
    /// Fashion-MNIST's pieces of clothing.
    FashionMnist,
    /// Tiny-ImageNet-200; its validation images are the test split, as those of its test folder have no labels.
    TinyImageNet,
    /// Generated from their number.
    Synthetic {
        /// Training images.
        n_train: u32,
        /// Test images.
        n_test: u32,
    },
    /// A folder of images, with a folder a class in each of its splits.
    Folder {
        /// The folder's name.
        folder: String,
    },
}

/// The published datasets: name, source, shape of an image, classes.
const NAMED: &[(&str, Source, Shape, usize)] = &[
    ("digits", Source::Digits, Shape::new(1, 8, 8), 10),
    ("cifar10", Source::Cifar10, Shape::new(3, 32, 32), 10),
    ("cifar100", Source::Cifar100, Shape::new(3, 32, 32), 100),
    ("svhn", Source::Svhn { extra: false }, Shape::new(3, 32, 32), 10),
    ("svhn-extra", Source::Svhn { extra: true }, Shape::new(3, 32, 32), 10),
    ("mnist", Source::Mnist, Shape::new(1, 28, 28), 10),
    ("fashion-mnist", Source::FashionMnist, Shape::new(1, 28, 28), 10),
    ("tiny-imagenet", Source::TinyImageNet, Shape::new(3, 64, 64), 200),
];

const SYNTHETIC: &str = "synthetic-";
const FOLDER: &str = "folder-";

/// How a synthetic dataset is called.
pub const SYNTHETIC_FORM: &str = "synthetic-3x32x32-10-2000-500";
/// How an image folder is called.
pub const FOLDER_FORM: &str = "folder-NAME-3x64x64-17";

/// Most channels of a generated image; image files have 1 or 3.
pub const MAX_CHANNELS: usize = 16;
/// Longest side of an image, pixels: beyond that of any network here.
pub const MAX_SIDE: usize = 1_024;
/// Most classes: what 16 bits tell apart.
pub const MAX_CLASSES: usize = 1 << 16;
/// Most generated images of a split.
pub const MAX_IMAGES: usize = 10_000_000;
/// Most pixel bytes of a generated dataset: it is held in memory.
pub const MAX_SYNTHETIC_BYTES: u64 = 1 << 34;
/// Longest name of an image folder, characters.
pub const MAX_FOLDER_CHARS: usize = 64;

/// Every published dataset.
pub fn named() -> impl Iterator<Item = Dataset> {
    NAMED.iter().map(|(name, source, input, n_classes)| Dataset {
        name: (*name).to_owned(),
        source: source.clone(),
        input: *input,
        n_classes: *n_classes,
    })
}

/// The names of the published datasets.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    NAMED.iter().map(|(name, ..)| *name)
}

/// Finds a dataset by its canonical name.
///
/// # Errors
/// When no dataset has that name, or one of its numbers is out of range. Every dataset has one spelling: leading zeros are refused.
pub fn parse(name: &str) -> Result<Dataset, DatasetError> {
    if let Some(dataset) = named().find(|dataset| dataset.name == name) {
        return Ok(dataset);
    }
    let form_error = |form| DatasetError::Form { name: name.to_owned(), form };
    if let Some(rest) = name.strip_prefix(SYNTHETIC) {
        let parts: Vec<&str> = rest.split('-').collect();
        let &[shape, classes, train, test] = parts.as_slice() else { return Err(form_error(SYNTHETIC_FORM)) };
        let numbers = (read_shape(shape), read_number(classes), read_number(train), read_number(test));
        let (Some(shape), Some(classes), Some(train), Some(test)) = numbers else { return Err(form_error(SYNTHETIC_FORM)) };
        return synthetic(shape, classes, train, test);
    }
    if let Some(rest) = name.strip_prefix(FOLDER) {
        let mut parts = rest.rsplitn(3, '-');
        let numbers = (parts.next().and_then(read_number), parts.next().and_then(read_shape), parts.next());
        let (Some(classes), Some(shape), Some(folder_name)) = numbers else { return Err(form_error(FOLDER_FORM)) };
        return folder(folder_name, shape, classes);
    }
    Err(DatasetError::Unknown { name: name.to_owned(), suggestion: suggest(name, names()) })
}

/// The dataset of so many generated images.
///
/// # Errors
/// When a number is out of range: more than [`MAX_CHANNELS`] channels, a side longer than [`MAX_SIDE`], fewer classes than 2 or more than
/// [`MAX_CLASSES`], a split that is empty or has more than [`MAX_IMAGES`], pixels beyond [`MAX_SYNTHETIC_BYTES`].
pub fn synthetic(input: Shape, n_classes: usize, n_train: usize, n_test: usize) -> Result<Dataset, DatasetError> {
    check("channels", input.channels, 1, MAX_CHANNELS)?;
    check_input(input, n_classes)?;
    check("training images", n_train, 1, MAX_IMAGES)?;
    check("test images", n_test, 1, MAX_IMAGES)?;
    let bytes = (n_train + n_test) as u64 * (input.channels * input.positions()) as u64;
    if bytes > MAX_SYNTHETIC_BYTES {
        return Err(DatasetError::TooLarge { bytes });
    }
    Ok(Dataset {
        name: format!("{SYNTHETIC}{input}-{n_classes}-{n_train}-{n_test}"),
        source: Source::Synthetic { n_train: n_train as u32, n_test: n_test as u32 },
        input,
        n_classes,
    })
}

/// The dataset of an image folder. `name` is a folder in the data folder, without a path.
///
/// # Errors
/// When a number is out of range as for [`synthetic`], there are neither 1 nor 3 channels, or the name is not made of up to
/// [`MAX_FOLDER_CHARS`] letters, digits, `-` and `_`, a letter or digit first.
pub fn folder(name: &str, input: Shape, n_classes: usize) -> Result<Dataset, DatasetError> {
    let is_word = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !(is_word && begins_well && name.len() <= MAX_FOLDER_CHARS) {
        return Err(DatasetError::FolderName { name: name.to_owned() });
    }
    if !matches!(input.channels, 1 | 3) {
        return Err(DatasetError::Channels { got: input.channels });
    }
    check_input(input, n_classes)?;
    let source = Source::Folder { folder: name.to_owned() };
    Ok(Dataset { name: format!("{FOLDER}{name}-{input}-{n_classes}"), source, input, n_classes })
}

fn check_input(input: Shape, n_classes: usize) -> Result<(), DatasetError> {
    check("height", input.height, 1, MAX_SIDE)?;
    check("width", input.width, 1, MAX_SIDE)?;
    check("classes", n_classes, 2, MAX_CLASSES)
}

const fn check(what: &'static str, got: usize, least: usize, most: usize) -> Result<(), DatasetError> {
    if least <= got && got <= most { Ok(()) } else { Err(DatasetError::OutOfRange { what, got, least, most }) }
}

/// A whole number in its one spelling.
fn read_number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|number: &usize| number.to_string() == text)
}

fn read_shape(text: &str) -> Option<Shape> {
    let sizes: Vec<usize> = text.split('x').map(read_number).collect::<Option<_>>()?;
    let &[channels, height, width] = sizes.as_slice() else { return None };
    Some(Shape::new(channels, height, width))
}

impl Dataset {
    /// Whether it needs no files: the binary contains or generates it.
    pub const fn is_built_in(&self) -> bool {
        matches!(self.source, Source::Digits | Source::Synthetic { .. })
    }
}

/// What a worker must have to run jobs on the dataset called `name`, by the name it offers that under; `None` where any worker will do.
///
/// A folder serves jobs with whatever shape they bring its images to, so it is offered without the numbers, as [`folder_offer`] writes it.
pub fn needed_offer(name: &str) -> Option<String> {
    match parse(name).map(|dataset| dataset.source) {
        Ok(Source::Synthetic { .. }) => None,
        Ok(Source::Folder { folder }) => Some(folder_offer(&folder)),
        Ok(_) | Err(_) => Some(name.to_owned()),
    }
}

/// The name that a worker offers the image folder `folder` under.
pub fn folder_offer(folder: &str) -> String {
    format!("{FOLDER}{folder}")
}

/// Why there is no such dataset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    /// Nothing has this name.
    #[error("no dataset is called {}", quote(name))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The known name that it resembles most.
        suggestion: Option<&'static str>,
    },
    /// The name begins like one with numbers and does not go on like one.
    #[error("the dataset {} is not written as `{form}` is", quote(name))]
    Form {
        /// The name asked for.
        name: String,
        /// An example.
        form: &'static str,
    },
    /// A number is out of range.
    #[error("a dataset cannot have {got} {what}: from {least} to {most}")]
    OutOfRange {
        /// What the number counts.
        what: &'static str,
        /// The number.
        got: usize,
        /// The least there may be.
        least: usize,
        /// The most there may be.
        most: usize,
    },
    /// Image files are read in grey or in colours.
    #[error("an image folder cannot be read with {got} channels")]
    Channels {
        /// The channels asked for.
        got: usize,
    },
    /// A generated dataset would take too much memory.
    #[error("the dataset would take {bytes} bytes of memory, and the most is {MAX_SYNTHETIC_BYTES}")]
    TooLarge {
        /// The bytes of its pixels.
        bytes: u64,
    },
    /// The name of an image folder cannot be part of a dataset's name.
    #[error("an image folder cannot be called {}", quote(name))]
    FolderName {
        /// The folder's name.
        name: String,
    },
}

impl DatasetError {
    /// What to try instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Unknown { suggestion: Some(name), .. } => format!("did you mean `{name}`?"),
            Self::Unknown { suggestion: None, .. } => {
                format!("there is {}, `{SYNTHETIC_FORM}` and its like, and `{FOLDER_FORM}`", names_in_words())
            }
            Self::Form { form: SYNTHETIC_FORM, .. } => {
                "the numbers are channels x height x width, classes, training images and test images, without leading zeros".to_owned()
            }
            Self::Form { .. } => "the numbers are channels x height x width and classes, without leading zeros".to_owned(),
            Self::OutOfRange { .. } => "choose a number in that range".to_owned(),
            Self::Channels { .. } => "1 reads images in grey, 3 in colours".to_owned(),
            Self::TooLarge { .. } => "ask for fewer or smaller images".to_owned(),
            Self::FolderName { .. } => {
                format!("rename it: up to {MAX_FOLDER_CHARS} letters, digits, `-` and `_`, a letter or digit first")
            }
        }
    }
}

fn names_in_words() -> String {
    names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
