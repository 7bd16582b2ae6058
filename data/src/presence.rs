//! Which datasets are here, told from names and sizes alone: quick enough for every start of a worker.

use std::fs;
use std::path::{Path, PathBuf};

use offramp_domain::dataset::{self, Dataset, Source};

use crate::{cifar, folder, idx, svhn, tiny_imagenet};

/// Whether a dataset is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// The program contains or generates it.
    BuiltIn,
    /// Its files are there, and their sizes are possible ones. What is in them, only reading them shows.
    Present,
    /// Some of its files are there, or one cannot be whole.
    Damaged {
        /// What is wrong, with the file's name.
        reason: String,
    },
    /// None of its files are there.
    Absent,
}

/// Where a dataset's files are, or belong.
pub fn folder_of(facts: &Dataset, data_dir: &Path) -> PathBuf {
    match &facts.source {
        Source::Cifar10 => data_dir.join(cifar::CIFAR10_FOLDER),
        Source::Cifar100 => data_dir.join(cifar::CIFAR100_FOLDER),
        Source::Svhn { .. } => data_dir.join(svhn::FOLDER),
        Source::Mnist => data_dir.join(idx::MNIST_FOLDER),
        Source::FashionMnist => data_dir.join(idx::FASHION_MNIST_FOLDER),
        Source::TinyImageNet => data_dir.join(tiny_imagenet::FOLDER),
        Source::Folder { folder } => data_dir.join(folder),
        Source::Digits | Source::Synthetic { .. } => data_dir.to_owned(),
    }
}

/// Looks whether a dataset's files are there.
pub fn look(facts: &Dataset, data_dir: &Path) -> Presence {
    if facts.is_built_in() {
        return Presence::BuiltIn;
    }
    let folder = folder_of(facts, data_dir);
    if !folder.is_dir() {
        return Presence::Absent;
    }
    let needed = needed_files(facts, &folder);
    let found: Vec<Result<(), String>> = needed.iter().map(|needed| needed.check(&folder)).collect();
    if needed.iter().all(|needed| !needed.exists(&folder)) {
        return Presence::Absent;
    }
    match found.into_iter().find_map(Result::err) {
        Some(reason) => Presence::Damaged { reason },
        None => Presence::Present,
    }
}

/// What a worker with this data folder offers: see [`dataset::needed_offer`].
pub fn offers(data_dir: &Path) -> Vec<String> {
    let is_here = |facts: &Dataset| matches!(look(facts, data_dir), Presence::BuiltIn | Presence::Present);
    let mut offers: Vec<String> = dataset::named().filter(is_here).map(|facts| facts.name).collect();
    offers.extend(image_folders(data_dir).iter().map(|name| dataset::folder_offer(name)));
    offers
}

/// The image folders in a data folder, by name: those with a training split and a test split that belong to no published dataset.
pub fn image_folders(data_dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(data_dir) else { return Vec::new() };
    let published: Vec<PathBuf> = dataset::named().filter(|facts| !facts.is_built_in()).map(|facts| folder_of(&facts, data_dir)).collect();
    let is_one = |path: &PathBuf| {
        !published.contains(path)
            && path.join(folder::TRAIN).is_dir()
            && folder::TEST.iter().any(|name| path.join(name).is_dir())
            // A name that datasets cannot have is one that jobs cannot ask for.
            && path.file_name().and_then(|name| name.to_str()).is_some_and(|name| dataset::folder(name, ANY_SHAPE, 2).is_ok())
    };
    let found = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(is_one);
    let mut names: Vec<String> = found.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect();
    names.sort();
    names
}

const ANY_SHAPE: offramp_domain::shape::Shape = offramp_domain::shape::Shape::new(3, 32, 32);

/// A file or folder that a dataset does not do without.
#[derive(Debug)]
struct Needed {
    /// Any of these will do.
    names: Vec<String>,
    /// Its length is a multiple of this.
    record_len: u64,
    is_folder: bool,
}

impl Needed {
    fn file(name: &str) -> Self {
        Self { names: vec![name.to_owned()], record_len: 1, is_folder: false }
    }

    fn folder(name: &str) -> Self {
        Self { is_folder: true, ..Self::file(name) }
    }

    fn exists(&self, folder: &Path) -> bool {
        self.names.iter().any(|name| folder.join(name).exists())
    }

    /// Looks at every one that is there; at least one must be.
    fn check(&self, folder: &Path) -> Result<(), String> {
        let there: Vec<&String> = self.names.iter().filter(|name| folder.join(name).exists()).collect();
        if there.is_empty() {
            return Err(format!("no `{}`", self.names[0]));
        }
        for name in there {
            match fs::metadata(folder.join(name)) {
                Ok(facts) if facts.is_dir() != self.is_folder => {
                    return Err(format!("`{name}` is {} folder", if self.is_folder { "no" } else { "a" }));
                }
                Ok(facts) if self.is_folder || (facts.len() > 0 && facts.len().is_multiple_of(self.record_len)) => {}
                Ok(facts) => return Err(format!("`{name}` has {} bytes, and a record {}", facts.len(), self.record_len)),
                Err(error) => return Err(format!("`{name}`: {error}")),
            }
        }
        Ok(())
    }
}

fn needed_files(facts: &Dataset, folder: &Path) -> Vec<Needed> {
    let record = |names: Vec<String>, record_len| Needed { names, record_len, is_folder: false };
    match &facts.source {
        Source::Cifar10 => {
            let batches = (1..=5).map(|n| format!("data_batch_{n}.bin")).collect();
            vec![record(batches, 3_073), record(vec!["test_batch.bin".to_owned()], 3_073)]
        }
        Source::Cifar100 => vec![record(vec!["train.bin".to_owned()], 3_074), record(vec!["test.bin".to_owned()], 3_074)],
        Source::Svhn { extra: false } => vec![Needed::file(svhn::TRAIN), Needed::file(svhn::TEST)],
        Source::Svhn { extra: true } => vec![Needed::file(svhn::TRAIN), Needed::file(svhn::EXTRA), Needed::file(svhn::TEST)],
        Source::Mnist | Source::FashionMnist => {
            idx::FILES.iter().map(|file| record(vec![format!("{file}.gz"), (*file).to_owned()], 1)).collect()
        }
        Source::TinyImageNet => vec![Needed::folder("train"), Needed::folder("val/images"), Needed::file(tiny_imagenet::ANNOTATIONS)],
        Source::Folder { .. } => {
            let test = folder::TEST.iter().find(|name| folder.join(name).is_dir()).unwrap_or(&folder::TEST[0]);
            vec![Needed::folder(folder::TRAIN), Needed::folder(test)]
        }
        Source::Digits | Source::Synthetic { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn put(dir: &TempDir, path: &str, n_bytes: usize) {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![0; n_bytes]).unwrap();
    }

    fn seen(dir: &TempDir, name: &str) -> Presence {
        look(&dataset::parse(name).unwrap(), dir.path())
    }

    fn damaged(reason: &str) -> Presence {
        Presence::Damaged { reason: reason.to_owned() }
    }

    #[test]
    fn datasets_are_there_when_their_files_are() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(offers(dir.path()), ["digits"]);
        assert_eq!(offers(Path::new("/nowhere")), ["digits"]);
        assert_eq!(seen(&dir, "cifar10"), Presence::Absent);
        put(&dir, "cifar-10-batches-bin/data_batch_3.bin", 3_073);
        put(&dir, "cifar-100-binary/train.bin", 6_148);
        assert_eq!(seen(&dir, "cifar10"), damaged("no `test_batch.bin`"), "without test images there is nothing to measure");
        assert_eq!(offers(dir.path()), ["digits"]);
        put(&dir, "cifar-10-batches-bin/test_batch.bin", 3_073);
        assert_eq!(offers(dir.path()), ["digits", "cifar10"]);
        put(&dir, "cifar-100-binary/test.bin", 3_073);
        assert_eq!(seen(&dir, "cifar100"), damaged("`test.bin` has 3073 bytes, and a record 3074"));
        put(&dir, "cifar-100-binary/test.bin", 3_074);
        assert_eq!(offers(dir.path()), ["digits", "cifar10", "cifar100"]);
        put(&dir, "cifar-10-batches-bin/data_batch_4.bin", 3_000);
        assert_eq!(seen(&dir, "cifar10"), damaged("`data_batch_4.bin` has 3000 bytes, and a record 3073"));
    }

    #[test]
    fn a_larger_set_needs_more_than_the_one_it_contains() {
        let dir = tempfile::tempdir().unwrap();
        for file in [svhn::TRAIN, svhn::TEST] {
            put(&dir, &format!("svhn/{file}"), 10);
        }
        assert_eq!(seen(&dir, "svhn"), Presence::Present);
        assert_eq!(seen(&dir, "svhn-extra"), damaged("no `extra_32x32.mat`"));
    }

    #[test]
    fn plain_files_do_as_well_as_packed_ones() {
        let dir = tempfile::tempdir().unwrap();
        for (index, file) in idx::FILES.iter().enumerate() {
            put(&dir, &format!("fashion-mnist/{file}{}", if index % 2 == 0 { ".gz" } else { "" }), 10);
        }
        assert_eq!(seen(&dir, "fashion-mnist"), Presence::Present);
        put(&dir, &format!("fashion-mnist/{}", idx::FILES[2]), 0);
        assert_eq!(seen(&dir, "fashion-mnist"), damaged("`t10k-images-idx3-ubyte` has 0 bytes, and a record 1"));
    }

    #[test]
    fn image_folders_are_offered_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["birds/train/a/1.png", "birds/val/a/1.png", "fish/train/a/1.png", "fish/test/a/1.png"] {
            put(&dir, path, 1);
        }
        for path in ["no-test/train/a/1.png", "a b/train/a/1.png", "a b/val/a/1.png", ".incoming/train/1", ".incoming/val/1"] {
            put(&dir, path, 1);
        }
        put(&dir, "tiny-imagenet-200/train/n1/images/1.JPEG", 1);
        put(&dir, "tiny-imagenet-200/val/val_annotations.txt", 1);
        assert_eq!(offers(dir.path()), ["digits", "folder-birds", "folder-fish"]);
        assert_eq!(seen(&dir, "tiny-imagenet"), damaged("no `val/images`"));
        assert_eq!(seen(&dir, "folder-birds-3x8x8-2"), Presence::Present);
        assert_eq!(seen(&dir, "folder-no-test-3x8x8-2"), damaged("no `val`"));
        assert_eq!(seen(&dir, "folder-gone-3x8x8-2"), Presence::Absent);
        assert_eq!(seen(&dir, "synthetic-3x8x8-2-5-5"), Presence::BuiltIn);
    }
}
