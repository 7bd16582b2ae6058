//! The published files of datasets: where they come from, what they must be, what may be done with them.

use offramp_domain::dataset::{Dataset, Source};

use crate::checksum::Checksum::{self, Md5, Sha256};
use crate::{idx, svhn, tiny_imagenet};

/// A dataset's files and facts, as its authors publish them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Published {
    /// Its files.
    pub files: &'static [Remote],
    /// Images of the training and of the test split.
    pub n_images: [usize; 2],
    /// Published mean and deviation of the training split's channels, from 0 to 1; none where nobody publishes them for this split.
    pub statistics: Option<[&'static [f64]; 2]>,
    /// Under which terms it may be used.
    pub licence: &'static str,
    /// What to cite.
    pub citation: &'static str,
}

/// A file to be downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remote {
    /// Its name.
    pub name: &'static str,
    /// The folder that it is downloaded from, unless a mirror is named.
    pub from: &'static str,
    /// Its length, where that is known.
    pub n_bytes: Option<u64>,
    /// Its checksum.
    pub checksum: Checksum,
    /// What becomes of it.
    pub place: Place,
}

/// What becomes of a downloaded file, in the data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is put into this folder as it is.
    Folder(&'static str),
    /// It is unpacked; everything in it lies in one folder.
    Unpacked {
        /// How it is packed.
        archive: Archive,
        /// That folder.
        root: &'static str,
        /// Most entries: a little more than there are.
        most_entries: u64,
        /// Most bytes of all files together: a little more than there are.
        most_bytes: u64,
    },
}

/// How an archive is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archive {
    /// tar, then gzip.
    TarGz,
    /// zip.
    Zip,
}

const KRIZHEVSKY: &str =
    "A. Krizhevsky, \"Learning Multiple Layers of Features from Tiny Images\", technical report, University of Toronto, 2009";
const NETZER: &str = "Y. Netzer, T. Wang, A. Coates, A. Bissacco, B. Wu, A. Y. Ng, \"Reading Digits in Natural Images with Unsupervised \
                      Feature Learning\", NIPS Workshop on Deep Learning and Unsupervised Feature Learning, 2011";
const TORONTO: &str = "https://www.cs.toronto.edu/~kriz/";
const STANFORD_SVHN: &str = "http://ufldl.stanford.edu/housenumbers/";
const MNIST_COPY: &str = "https://ossci-datasets.s3.amazonaws.com/mnist/";
const ZALANDO: &str = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/";
const CS231N: &str = "http://cs231n.stanford.edu/";

const DIGITS: Published = Published {
    files: &[],
    n_images: [1_438, 359],
    // What is published is for both splits together and another scale.
    statistics: None,
    licence: "CC BY 4.0",
    citation: "E. Alpaydin, C. Kaynak, \"Optical Recognition of Handwritten Digits\", UCI Machine Learning Repository, 1998, \
               doi:10.24432/C50P49 (its test partition, parted anew)",
};

const CIFAR10: Published = Published {
    files: &[Remote {
        name: "cifar-10-binary.tar.gz",
        from: TORONTO,
        n_bytes: Some(170_052_171),
        checksum: Sha256("c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
        place: Place::Unpacked { archive: Archive::TarGz, root: "cifar-10-batches-bin", most_entries: 32, most_bytes: 200_000_000 },
    }],
    n_images: [50_000, 10_000],
    statistics: Some([&[0.4914, 0.4822, 0.4465], &[0.2470, 0.2435, 0.2616]]),
    licence: "none stated; the authors ask for the citation",
    citation: KRIZHEVSKY,
};

const CIFAR100: Published = Published {
    files: &[Remote {
        name: "cifar-100-binary.tar.gz",
        from: TORONTO,
        n_bytes: Some(168_513_733),
        checksum: Sha256("58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"),
        place: Place::Unpacked { archive: Archive::TarGz, root: "cifar-100-binary", most_entries: 32, most_bytes: 200_000_000 },
    }],
    n_images: [50_000, 10_000],
    statistics: Some([&[0.5071, 0.4867, 0.4408], &[0.2675, 0.2565, 0.2761]]),
    licence: "none stated; the authors ask for the citation",
    citation: KRIZHEVSKY,
};

const SVHN_TRAIN: Remote = Remote {
    name: svhn::TRAIN,
    from: STANFORD_SVHN,
    n_bytes: Some(182_040_794),
    checksum: Sha256("435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8"),
    place: Place::Folder(svhn::FOLDER),
};
const SVHN_TEST: Remote = Remote {
    name: svhn::TEST,
    n_bytes: Some(64_275_384),
    checksum: Sha256("cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b"),
    ..SVHN_TRAIN
};
const SVHN_EXTRA: Remote = Remote {
    name: svhn::EXTRA,
    n_bytes: None,
    checksum: Sha256("a133a4beb38a00fcdda90c9489e0c04f900b660ce8a316a5e854838379a71eb3"),
    ..SVHN_TRAIN
};
const SVHN: Published = Published {
    files: &[SVHN_TRAIN, SVHN_TEST],
    n_images: [73_257, 26_032],
    statistics: Some([&[0.4377, 0.4438, 0.4728], &[0.1980, 0.2010, 0.1970]]),
    licence: "for non-commercial use alone",
    citation: NETZER,
};
const SVHN_WITH_EXTRA: Published =
    Published { files: &[SVHN_TRAIN, SVHN_EXTRA, SVHN_TEST], n_images: [604_388, 26_032], statistics: None, ..SVHN };

/// A file of MNIST or a set made like it.
const fn idx_file(name: &'static str, from: &'static str, folder: &'static str, n_bytes: Option<u64>, sha256: &'static str) -> Remote {
    Remote { name, from, n_bytes, checksum: Sha256(sha256), place: Place::Folder(folder) }
}

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte.gz";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte.gz";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte.gz";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte.gz";

const MNIST: Published = {
    const fn file(name: &'static str, n_bytes: u64, sha256: &'static str) -> Remote {
        idx_file(name, MNIST_COPY, idx::MNIST_FOLDER, Some(n_bytes), sha256)
    }
    Published {
        files: &[
            file(TRAIN_IMAGES, 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            file(TRAIN_LABELS, 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            file(TEST_IMAGES, 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            file(TEST_LABELS, 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ],
        n_images: [60_000, 10_000],
        statistics: Some([&[0.1307], &[0.3081]]),
        licence: "usually given as CC BY-SA 3.0",
        citation: "Y. LeCun, C. Cortes, C. J. C. Burges, \"The MNIST database of handwritten digits\", 1998",
    }
};

const FASHION_MNIST: Published = {
    const fn file(name: &'static str, n_bytes: Option<u64>, sha256: &'static str) -> Remote {
        idx_file(name, ZALANDO, idx::FASHION_MNIST_FOLDER, n_bytes, sha256)
    }
    Published {
        files: &[
            file(TRAIN_IMAGES, Some(26_421_880), "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            file(TRAIN_LABELS, None, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            file(TEST_IMAGES, None, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            file(TEST_LABELS, None, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ],
        n_images: [60_000, 10_000],
        statistics: Some([&[0.2860], &[0.3530]]),
        licence: "MIT",
        citation: "H. Xiao, K. Rasul, R. Vollgraf, \"Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms\", \
                   arXiv 1708.07747, 2017",
    }
};

const TINY_IMAGENET: Published = Published {
    files: &[Remote {
        name: "tiny-imagenet-200.zip",
        from: CS231N,
        n_bytes: Some(248_100_043),
        checksum: Md5("90528d7ca1a48142e341f4ef8d21d0de"),
        place: Place::Unpacked { archive: Archive::Zip, root: tiny_imagenet::FOLDER, most_entries: 125_000, most_bytes: 600_000_000 },
    }],
    n_images: [100_000, 10_000],
    statistics: Some([&[0.4802, 0.4481, 0.3975], &[0.2770, 0.2691, 0.2821]]),
    licence: "ImageNet's terms: non-commercial research and education",
    citation: "Y. Le, X. Yang, \"Tiny ImageNet Visual Recognition Challenge\", Stanford CS 231N, 2015",
};

/// What is published of a dataset; `None` for generated images and for folders.
pub const fn published(facts: &Dataset) -> Option<Published> {
    match facts.source {
        Source::Digits => Some(DIGITS),
        Source::Cifar10 => Some(CIFAR10),
        Source::Cifar100 => Some(CIFAR100),
        Source::Svhn { extra: false } => Some(SVHN),
        Source::Svhn { extra: true } => Some(SVHN_WITH_EXTRA),
        Source::Mnist => Some(MNIST),
        Source::FashionMnist => Some(FASHION_MNIST),
        Source::TinyImageNet => Some(TINY_IMAGENET),
        Source::Synthetic { .. } | Source::Folder { .. } => None,
    }
}

impl Published {
    /// Bytes to download, as far as they are known; whether all of them are.
    pub fn download_bytes(&self) -> (u64, bool) {
        let known = self.files.iter().filter_map(|file| file.n_bytes).sum();
        (known, self.files.iter().all(|file| file.n_bytes.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use offramp_domain::dataset;

    use super::*;

    #[test]
    fn checksums_are_well_formed_and_each_files_own() {
        let mut seen = std::collections::BTreeMap::new();
        for facts in dataset::named() {
            for file in published(&facts).unwrap().files {
                let digits = file.checksum.digits();
                let n_digits = match file.checksum {
                    Sha256(_) => 64,
                    Md5(_) => 32,
                };
                assert!(digits.len() == n_digits && digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')), "{}", file.name);
                assert!(file.from.ends_with('/'), "{}", file.name);
                let known = *seen.entry(digits).or_insert((file.from, file.name));
                assert_eq!(known, (file.from, file.name));
            }
        }
    }

    #[test]
    fn every_published_dataset_has_statistics_of_its_channels_or_none() {
        for facts in dataset::named() {
            let published = published(&facts).unwrap();
            for values in published.statistics.iter().flatten() {
                assert_eq!(values.len(), facts.input.channels, "{}", facts.name);
            }
            assert_eq!(published.files.is_empty(), facts.is_built_in(), "{}", facts.name);
        }
    }

    #[test]
    fn the_embedded_digits_are_as_many_as_the_catalogue_says() {
        let digits = crate::digits::load();
        assert_eq!([digits.train.len(), digits.test.len()], DIGITS.n_images);
    }
}
