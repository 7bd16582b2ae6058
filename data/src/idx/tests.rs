use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A file of images, all pixels of image i being i.
fn images(n: u8) -> Vec<u8> {
    let header = [IMAGES_MAGIC, n.into(), 28, 28].map(u32::to_be_bytes).concat();
    header.into_iter().chain((0..n).flat_map(|i| [i; 784])).collect()
}

fn labels(labels: &[u8]) -> Vec<u8> {
    let header = [LABELS_MAGIC, labels.len() as u32].map(u32::to_be_bytes).concat();
    header.into_iter().chain(labels.iter().copied()).collect()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn put(dir: &TempDir, file: &str, bytes: &[u8]) {
    fs::create_dir_all(dir.path().join("mnist")).unwrap();
    fs::write(dir.path().join("mnist").join(file), bytes).unwrap();
}

/// A whole dataset of three training images and two test images, compressed.
fn dataset() -> TempDir {
    let dir = TempDir::new().unwrap();
    let contents = [images(3), labels(&[7, 0, 9]), images(2), labels(&[1, 2])];
    for (file, content) in FILES.iter().zip(contents) {
        put(&dir, &format!("{file}.gz"), &gzipped(&content));
    }
    dir
}

#[test]
fn plain_and_compressed_files_are_read_and_the_plain_one_first() {
    let dir = dataset();
    let LoadedDataset { train, test } = load_mnist(dir.path()).unwrap();
    assert_eq!((train.labels.as_slice(), test.labels.as_slice()), ([7, 0, 9].as_slice(), [1, 2].as_slice()));
    assert_eq!((train.shape, train.pixels_of(2)), (SHAPE, [2; 784].as_slice()));
    put(&dir, FILES[1], &labels(&[1, 1, 1]));
    assert_eq!(load_mnist(dir.path()).unwrap().train.labels, [1, 1, 1]);
}

/// What reading says when a training file has other bytes.
fn complaint(file: &str, bytes: &[u8]) -> String {
    let dir = dataset();
    put(&dir, file, bytes);
    load_mnist(dir.path()).unwrap_err().to_string().replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn damage_is_said_with_its_place() {
    let check = |file: &str, bytes: &[u8], expected: &str| assert_eq!(complaint(file, bytes), format!("`DIR/mnist/{file}`{expected}"));
    let [train_images, train_labels, ..] = FILES;
    check(train_images, &images(3)[..100], ", byte 16: expected 2352 bytes of pixels, got 84");
    check(train_images, &[images(3), vec![0]].concat(), ", byte 2368: expected the end, got more bytes");
    check(train_images, &labels(&[1]), ", byte 0: expected the number 0x803, got 0x801");
    let fewer = "`DIR/mnist/train-labels-idx1-ubyte.gz`, byte 4: expected as many labels as there are images, 2, got 3";
    assert_eq!(complaint(train_images, &images(2)), fewer);
    check(train_labels, &labels(&[1, 10, 2]), ", byte 9: expected a label below 10, got 10");
    check(train_labels, &labels(&[1, 2]), ", byte 4: expected as many labels as there are images, 3, got 2");
    check(train_labels, &[], ", byte 0: expected 4 bytes of the layout's number, got 0");
    let mut wide = images(1);
    wide[15] = 29;
    check(train_images, &wide, ", byte 12: expected a side of 28 pixels, got 29");
    let mut many = images(1);
    many[4] = 0xff;
    check(train_images, &many, ", byte 4: expected a number of images from 1 to 1048576, got 4278190081");
}

#[test]
fn a_compressed_file_that_is_cut_off_or_does_not_match_its_checksum_is_refused() {
    let file = format!("{}.gz", FILES[0]);
    let whole = gzipped(&images(3));
    let cut = complaint(&file, &whole[..whole.len() - 20]);
    assert!(cut.contains(": expected "), "{cut}");
    let mut flipped = whole.clone();
    let crc = whole.len() - 8;
    flipped[crc] ^= 1;
    let message = complaint(&file, &flipped);
    assert!(message.contains("byte 2368: expected the end, got "), "{message}");
    assert!(complaint(&file, b"not gzip at all").contains("byte 0: expected 4 bytes of the layout's number, got 0 ("));
}

#[test]
fn a_missing_file_is_named_as_it_is_published() {
    let dir = dataset();
    fs::remove_file(dir.path().join("mnist/t10k-labels-idx1-ubyte.gz")).unwrap();
    let error = load_mnist(dir.path()).unwrap_err();
    assert!(matches!(&error, DataError::Io { path, .. } if path.ends_with("t10k-labels-idx1-ubyte.gz")), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn hostile_bytes_are_errors_or_images(
        file in 0_usize..2, packed in any::<bool>(), cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let whole = [images(3), labels(&[7, 0, 9])][file].clone();
        let mut bytes = if packed { gzipped(&whole) } else { whole };
        bytes.truncate(cut.index(2 * bytes.len()).max(1));
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let dir = dataset();
        put(&dir, &format!("{}{}", FILES[file], if packed { ".gz" } else { "" }), &bytes);
        if let Ok(LoadedDataset { train, .. }) = load_mnist(dir.path()) {
            prop_assert_eq!(train.pixels.len(), 784 * train.len());
            prop_assert!(train.labels.iter().all(|&label| label < 10));
        }
    }
}
