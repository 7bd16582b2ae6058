use tempfile::TempDir;

use super::*;

/// A record whose planes are filled with `fill`, `fill + 1` and `fill + 2`.
fn record(labels: &[u8], fill: u8) -> Vec<u8> {
    let planes = (0..3).flat_map(|plane| vec![fill + plane; 1024]);
    labels.iter().copied().chain(planes).collect()
}

fn data_dir(files: &[(&str, Vec<u8>)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    dir
}

#[test]
fn whole_records_of_any_subset_of_batches_are_read_in_order() {
    let dir = data_dir(&[
        ("cifar-10-batches-bin/data_batch_4.bin", record(&[9], 40)),
        ("cifar-10-batches-bin/data_batch_2.bin", [record(&[3], 20), record(&[4], 30)].concat()),
        ("cifar-10-batches-bin/test_batch.bin", record(&[0], 100)),
    ]);
    let LoadedDataset { train, test } = load_cifar10(dir.path()).unwrap();
    assert_eq!(train.labels, [3, 4, 9]);
    assert_eq!(test.labels, [0]);
    let planes: Vec<u8> = train.pixels_of(1).iter().copied().step_by(1024).collect();
    assert_eq!(planes, [30, 31, 32]);
    assert_eq!(test.pixels.len(), 3072);
}

#[test]
fn the_class_of_cifar100_is_the_fine_label() {
    let dir = data_dir(&[("cifar-100-binary/train.bin", record(&[19, 99], 1)), ("cifar-100-binary/test.bin", record(&[2, 0], 5))]);
    let LoadedDataset { train, test } = load_cifar100(dir.path()).unwrap();
    assert_eq!((train.labels, test.labels), (vec![99], vec![0]));
    assert_eq!(test.pixels[..2], [5, 5]);
}

/// What loading says when the one training file holds `bytes`.
fn complaint(bytes: Vec<u8>) -> String {
    let dir = data_dir(&[("cifar-10-batches-bin/data_batch_1.bin", bytes), ("cifar-10-batches-bin/test_batch.bin", record(&[0], 0))]);
    let error = load_cifar10(dir.path()).unwrap_err().to_string();
    error.replace(&dir.path().display().to_string(), "DIR").replace('\\', "/")
}

#[test]
fn a_file_that_is_cut_off_is_said_with_its_place() {
    let mut bytes = [record(&[1], 0), record(&[2], 0)].concat();
    bytes.truncate(3073 + 500);
    assert_eq!(
        complaint(bytes),
        "`DIR/cifar-10-batches-bin/data_batch_1.bin` is cut off: its last record, at byte 3073, has 500 of 3073 bytes"
    );
    assert_eq!(complaint(vec![]), "`DIR/cifar-10-batches-bin/data_batch_1.bin` is empty");
}

#[test]
fn a_label_that_is_no_class_is_said_with_its_place() {
    let bytes = [record(&[1], 0), record(&[10], 0)].concat();
    assert_eq!(complaint(bytes), "`DIR/cifar-10-batches-bin/data_batch_1.bin` has label 10 at byte 3073, expected one below 10");
    let dir = data_dir(&[("cifar-100-binary/train.bin", record(&[19, 100], 1))]);
    let error = load_cifar100(dir.path()).unwrap_err();
    assert!(matches!(error, DataError::Label { offset: 1, got: 100, n_classes: 100, .. }), "{error}");
}

#[test]
fn missing_files_are_named() {
    let dir = data_dir(&[("cifar-10-batches-bin/test_batch.bin", record(&[0], 0))]);
    let error = load_cifar10(dir.path()).unwrap_err().to_string();
    assert!(error.starts_with("no `data_batch_1.bin` to `data_batch_5.bin` in `"), "{error}");
    let dir = data_dir(&[("cifar-10-batches-bin/data_batch_1.bin", record(&[0], 0))]);
    let error = load_cifar10(dir.path()).unwrap_err();
    assert!(matches!(&error, DataError::Io { path, .. } if path.ends_with("test_batch.bin")), "{error}");
}

/// Real images, where `OFFRAMP_TEST_CIFAR10` names a folder with `data_batch_1.bin` and its like and `test_batch.bin`.
#[test]
#[expect(clippy::disallowed_methods, clippy::print_stderr, reason = "an optional test input; a skipped test says so")]
fn real_images_look_like_real_images() {
    let Some(batches) = std::env::var_os("OFFRAMP_TEST_CIFAR10") else {
        eprintln!("skipped: OFFRAMP_TEST_CIFAR10 does not name a folder with CIFAR-10 in the binary version");
        return;
    };
    let dir = data_dir(&[]);
    let official = dir.path().join("cifar-10-batches-bin");
    fs::create_dir(&official).unwrap();
    for file in fs::read_dir(batches).unwrap().map(|entry| entry.unwrap()) {
        fs::copy(file.path(), official.join(file.file_name())).unwrap();
    }
    let LoadedDataset { train, test } = load_cifar10(dir.path()).unwrap();
    for images in [&train, &test] {
        // The official batches and any honest subset of them are balanced, and their channels' means are near the published
        // 0.4914, 0.4822, 0.4465 (of 255).
        let mut counts = [0; 10];
        for &label in &images.labels {
            counts[usize::from(label)] += 1;
        }
        let n = images.len() as f64;
        assert!(counts.iter().all(|&count| (f64::from(count) / n - 0.1).abs() < 0.02), "{counts:?}");
        for (channel, published) in [0.4914, 0.4822, 0.4465].into_iter().enumerate() {
            let planes = images.pixels.chunks_exact(1024).skip(channel).step_by(3);
            let sum: u64 = planes.flatten().map(|&pixel| u64::from(pixel)).sum();
            let mean = sum as f64 / (images.len() * 1024 * 255) as f64;
            assert!((mean - published).abs() < 0.02, "channel {channel}: {mean}");
        }
    }
}
