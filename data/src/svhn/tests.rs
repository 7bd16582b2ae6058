use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// Written by SciPy: three images with `X[row, column, channel, image] = (row + 3 column + 50 channel + 100 image) mod 256`, labels 1, 10, 9.
const COMPRESSED: &[u8] = include_bytes!("../../fixtures/svhn-compressed.mat");
/// The same without compression, with labels as floating-point numbers and a variable that is not numeric.
const PLAIN: &[u8] = include_bytes!("../../fixtures/svhn-plain.mat");

fn folder(train: &[u8], test: &[u8]) -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join(FOLDER)).unwrap();
    fs::write(dir.path().join(FOLDER).join(TRAIN), train).unwrap();
    fs::write(dir.path().join(FOLDER).join(TEST), test).unwrap();
    dir
}

#[test]
fn files_of_another_program_are_read_row_by_row_with_ten_as_zero() {
    let dir = folder(COMPRESSED, PLAIN);
    let LoadedDataset { train, test } = load(dir.path(), false).unwrap();
    assert_eq!(train, test, "compression and the type of labels make no difference");
    assert_eq!(train.labels, [1, 0, 9]);
    assert_eq!(train.shape, SHAPE);
    for (image, channel, row, column) in [(0, 0, 0, 1), (0, 0, 1, 0), (1, 2, 31, 7), (2, 1, 8, 30)] {
        let expected = (row + 3 * column + 50 * channel + 100 * image) % 256;
        let at = channel * 1024 + row * 32 + column;
        assert_eq!(usize::from(train.pixels_of(image as u32)[at]), expected, "image {image}, channel {channel}, {row}, {column}");
    }
}

#[test]
fn additional_images_follow_the_training_split() {
    let dir = folder(COMPRESSED, COMPRESSED);
    assert!(matches!(load(dir.path(), true), Err(DataError::Io { path, .. }) if path.ends_with(EXTRA)));
    fs::write(dir.path().join(FOLDER).join(EXTRA), PLAIN).unwrap();
    let LoadedDataset { train, test } = load(dir.path(), true).unwrap();
    assert_eq!((train.labels, train.pixels.len(), test.len()), (vec![1, 0, 9, 1, 0, 9], 6 * 3072, 3));
}

/// What reading says of `bytes`, with the folder's name out of it.
fn complaint(bytes: &[u8]) -> String {
    let dir = folder(bytes, COMPRESSED);
    load(dir.path(), false).unwrap_err().to_string().replace(&dir.path().display().to_string(), "DIR")
}

/// An element with its padding.
fn element(kind: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = [kind.to_le_bytes(), (content.len() as u32).to_le_bytes()].concat();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// An array of bytes, as the published layout has it.
fn array(name: &str, sizes: &[i32], values: &[u8]) -> Vec<u8> {
    let flags = element(6, &[9, 0, 0, 0, 0, 0, 0, 0]);
    let sizes = element(5, &sizes.iter().flat_map(|size| size.to_le_bytes()).collect::<Vec<u8>>());
    element(14, &[flags, sizes, element(1, name.as_bytes()), element(2, values)].concat())
}

fn file(elements: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![b' '; 124];
    bytes.extend([0x00, 0x01, b'I', b'M']);
    bytes.extend(elements.concat());
    bytes
}

fn compressed(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    let packed = encoder.finish().unwrap();
    [&15_u32.to_le_bytes()[..], &(packed.len() as u32).to_le_bytes(), &packed].concat()
}

#[test]
fn a_wrong_label_is_said_with_its_place() {
    let x = array("X", &[32, 32, 3, 2], &[7; 6144]);
    let good = file(&[x.clone(), array("y", &[2, 1], &[10, 1])]);
    let dir = folder(&good, COMPRESSED);
    assert_eq!(load(dir.path(), false).unwrap().train.labels, [0, 1]);
    let at = good.len() - 8;
    let zero = file(&[x.clone(), array("y", &[2, 1], &[0, 1])]);
    assert_eq!(complaint(&zero), format!("`DIR/svhn/train_32x32.mat`, byte {at}: expected a label from 1 to 10, got 0"));
    let eleven = file(&[x, array("y", &[2, 1], &[1, 11])]);
    assert_eq!(complaint(&eleven), format!("`DIR/svhn/train_32x32.mat`, byte {}: expected a label from 1 to 10, got 11", at + 1));
}

#[test]
fn arrays_of_other_sizes_and_missing_ones_are_said() {
    let said = |elements: &[Vec<u8>]| complaint(&file(elements));
    let x = array("X", &[32, 32, 3, 2], &[7; 6144]);
    assert_eq!(said(std::slice::from_ref(&x)), "`DIR/svhn/train_32x32.mat`: expected an array `y`, got none");
    assert_eq!(said(&[array("y", &[2, 1], &[1, 2])]), "`DIR/svhn/train_32x32.mat`: expected an array `X`, got none");
    let one_label = said(&[x.clone(), array("y", &[1, 1], &[1])]);
    assert_eq!(one_label, "`DIR/svhn/train_32x32.mat`: expected as many labels in `y` as there are images in `X`, 2, got 1");
    let wrong_sizes = said(&[array("X", &[3, 32, 32, 2], &[7; 6144])]);
    assert!(wrong_sizes.ends_with("expected `X` of 32x32x3 and 1 to 1048576 images, got sizes [3, 32, 32, 2]"), "{wrong_sizes}");
    let too_few = said(&[array("X", &[32, 32, 3, 3], &[7; 6144])]);
    assert!(too_few.ends_with("expected 9216 bytes of values, as the sizes have it, got 6144"), "{too_few}");
    let negative = said(&[array("X", &[32, 32, 3, -3], &[7; 6144])]);
    assert!(negative.ends_with("expected a size, got -3"), "{negative}");
    assert!(said(&[]).ends_with("expected an array `X`, got none"));
}

#[test]
fn what_is_no_matlab_file_and_what_is_cut_off_is_said() {
    let html = b"<!DOCTYPE html><html><body>Not Found</body></html>".repeat(10);
    let message = complaint(&html);
    assert!(message.contains("byte 124: expected a MATLAB file of version 5, little-endian, got "), "{message}");
    assert!(complaint(&[]).ends_with("byte 0: expected 128 bytes of MATLAB's header, got 0"));
    let cut = complaint(&COMPRESSED[..COMPRESSED.len() / 2]);
    assert!(cut.contains("byte 136: expected ") && cut.contains(" bytes of an element, got "), "{cut}");
}

#[test]
fn what_a_compressed_array_says_of_itself_takes_no_memory() {
    // A million images on the word of a few bytes.
    let lie = [14_u32.to_le_bytes(), u32::MAX.to_le_bytes()].concat();
    let sizes: Vec<u8> = [32_i32, 32, 3, 1 << 20].iter().flat_map(|size| size.to_le_bytes()).collect();
    let head = [element(6, &[9, 0, 0, 0, 0, 0, 0, 0]), element(5, &sizes), element(1, b"X")].concat();
    let values = [2_u32.to_le_bytes(), (3072_u32 << 20).to_le_bytes()].concat();
    let message = complaint(&file(&[compressed(&[lie, head, values, vec![1; 5000]].concat())]));
    assert!(message.contains("expected 3072 bytes of values, got 1928"), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn hostile_bytes_are_errors_or_images(
        is_compressed in any::<bool>(), cut in any::<prop::sample::Index>(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = if is_compressed { COMPRESSED } else { PLAIN }.to_vec();
        bytes.truncate(cut.index(2 * bytes.len()).max(1));
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let dir = folder(&bytes, COMPRESSED);
        if let Ok(LoadedDataset { train, .. }) = load(dir.path(), false) {
            prop_assert_eq!(train.pixels.len(), 3072 * train.len());
            prop_assert!(train.labels.iter().all(|&label| label < 10));
        }
    }
}
