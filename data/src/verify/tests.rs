use std::path::PathBuf;

use offramp_domain::dataset;
use tempfile::TempDir;

use super::*;

fn cifar10() -> Dataset {
    dataset::parse("cifar10").unwrap()
}

fn record(label: u8, values: [u8; 3]) -> Vec<u8> {
    std::iter::once(label).chain(values.into_iter().flat_map(|value| [value; 1024])).collect()
}

fn put(dir: &TempDir, path: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

/// Ten images a split, one a class.
fn small_cifar() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let records: Vec<u8> = (0..10).flat_map(|label| record(label, [51, 102, 255])).collect();
    for file in ["data_batch_1.bin", "test_batch.bin"] {
        put(&dir, &format!("cifar-10-batches-bin/{file}"), &records);
    }
    dir
}

fn found(facts: &Dataset, dir: &TempDir) -> Vec<(String, Verdict, String)> {
    let clean = |text: String| text.replace(&dir.path().display().to_string(), "DIR");
    verify(facts, dir.path()).into_iter().map(|finding| (finding.what, finding.verdict, clean(finding.detail))).collect()
}

fn row(what: &str, verdict: Verdict, detail: &str) -> (String, Verdict, String) {
    (what.to_owned(), verdict, detail.to_owned())
}

#[test]
fn a_small_copy_is_told_from_the_published_set() {
    let dir = small_cifar();
    let expected = [
        row("cifar-10-batches-bin", Verdict::Differs, "not unpacked by `offramp data fetch`: there is no `SHA256SUMS` to compare it with"),
        row("records", Verdict::Differs, "10 training and 10 test images, 10 classes; published are 50000 and 10000"),
        row(
            "statistics",
            Verdict::Differs,
            "mean 0.2000 0.4000 1.0000, deviation 0.0000 0.0000 0.0000; published are 0.4914 0.4822 0.4465 and 0.2470 0.2435 0.2616",
        ),
    ];
    assert_eq!(found(&cifar10(), &dir), expected);
}

#[test]
fn files_that_changed_since_they_were_unpacked_are_named() {
    let dir = small_cifar();
    let sum = sha256(&mut &fs::read(dir.path().join("cifar-10-batches-bin/test_batch.bin")).unwrap()[..]).unwrap();
    let sums = format!("{sum}  data_batch_1.bin\n{sum}  test_batch.bin\n");
    put(&dir, "cifar-10-batches-bin/SHA256SUMS", sums.as_bytes());
    let good = row("cifar-10-batches-bin", Verdict::Good, "2 files as they were unpacked from the published archive");
    assert_eq!(found(&cifar10(), &dir)[0], good);
    let flipped: Vec<u8> = (0..10).flat_map(|label| record(label, [51, 103, 255])).collect();
    put(&dir, "cifar-10-batches-bin/data_batch_1.bin", &flipped);
    let detail = "1 of 2 files are not as they were unpacked: `data_batch_1.bin` has changed";
    assert_eq!(found(&cifar10(), &dir)[0], row("cifar-10-batches-bin", Verdict::Damaged, detail));
    put(&dir, "cifar-10-batches-bin/SHA256SUMS", b"");
    assert_eq!(found(&cifar10(), &dir)[0], row("cifar-10-batches-bin", Verdict::Damaged, "`SHA256SUMS` is empty"));
}

#[test]
fn what_is_to_be_replaced_is_looked_at_more_closely() {
    let dir = small_cifar();
    assert_eq!(is_whole(&cifar10(), dir.path(), false), Ok(()));
    let reason = is_whole(&cifar10(), dir.path(), true).unwrap_err();
    assert!(reason.starts_with("cifar-10-batches-bin: not unpacked by"), "{reason}");
    fs::remove_file(dir.path().join("cifar-10-batches-bin/test_batch.bin")).unwrap();
    assert_eq!(is_whole(&cifar10(), dir.path(), false), Err("no `test_batch.bin`".to_owned()));
    assert_eq!(is_whole(&cifar10(), &dir.path().join("nowhere"), true), Err("none of its files are there".to_owned()));
}

#[test]
fn damaged_records_are_told_as_the_reader_tells_them() {
    let dir = small_cifar();
    put(&dir, "cifar-10-batches-bin/test_batch.bin", &record(11, [0, 0, 0]));
    let detail = "`DIR/cifar-10-batches-bin/test_batch.bin` has label 11 at byte 0, expected one below 10";
    assert_eq!(found(&cifar10(), &dir).last(), Some(&row("records", Verdict::Damaged, detail)));
    fs::remove_file(dir.path().join("cifar-10-batches-bin/test_batch.bin")).unwrap();
    let missing = found(&cifar10(), &dir).pop().unwrap();
    assert!(missing.2.starts_with("cannot read `DIR/cifar-10-batches-bin/test_batch.bin`: No such file"), "{missing:?}");
}

#[test]
fn a_class_without_images_is_noticed() {
    let dir = small_cifar();
    put(&dir, "cifar-10-batches-bin/test_batch.bin", &[record(0, [0; 3]), record(2, [0; 3])].concat());
    let detail = "10 training and 2 test images, 10 classes; no test image has class 1";
    assert_eq!(found(&cifar10(), &dir)[1], row("records", Verdict::Differs, detail));
}

#[test]
fn files_that_are_kept_packed_are_compared_with_the_published_checksums() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir, "mnist/train-images-idx3-ubyte.gz", b"abc");
    put(&dir, "mnist/train-labels-idx1-ubyte", b"abc");
    let findings = found(&dataset::parse("mnist").unwrap(), &dir);
    let detail = "SHA-256 is ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad, expected \
                  440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609";
    assert_eq!(findings[0], row("train-images-idx3-ubyte.gz", Verdict::Damaged, detail));
    assert_eq!((findings[1].1, findings[1].2.as_str()), (Verdict::Differs, "it was unpacked, and no checksum of that is published"));
    assert_eq!(findings[2].1, Verdict::Damaged);
}

#[test]
fn what_needs_no_files_is_good() {
    let dir = tempfile::tempdir().unwrap();
    let digits = found(&dataset::parse("digits").unwrap(), &dir);
    assert_eq!(digits[0], row("records", Verdict::Good, "1438 training and 359 test images, 10 classes"));
    assert!(digits.iter().all(|(_, verdict, _)| *verdict == Verdict::Good), "{digits:?}");
    let synthetic = found(&dataset::parse("synthetic-3x8x8-4-8-4").unwrap(), &dir);
    assert_eq!(synthetic[0], row("records", Verdict::Good, "8 training and 4 test images, 4 classes"));
}

/// Real images, where `OFFRAMP_TEST_CIFAR10` names a folder with `data_batch_1.bin` and its like and `test_batch.bin`.
#[test]
#[expect(clippy::disallowed_methods, clippy::print_stderr, reason = "an optional test input; a skipped test says so")]
fn real_images_have_nearly_the_published_statistics() {
    let Some(batches) = std::env::var_os("OFFRAMP_TEST_CIFAR10") else {
        eprintln!("skipped: OFFRAMP_TEST_CIFAR10 does not name a folder with CIFAR-10 in the binary version");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    for file in fs::read_dir(batches).unwrap().map(|entry| entry.unwrap()) {
        let name = file.file_name().into_string().unwrap();
        put(&dir, &format!("cifar-10-batches-bin/{name}"), &fs::read(file.path()).unwrap());
    }
    let LoadedDataset { train, .. } = load(&cifar10(), dir.path()).unwrap();
    let [mean, deviation] = catalogue::published(&cifar10()).unwrap().statistics.unwrap();
    let measured = Statistics::measure(&train);
    // A subset's mean strays by the images' own deviation of about 0.12, over the root of their number; five times that is far enough.
    let stray = 5.0 * 0.12 / (train.len() as f64).sqrt();
    for channel in 0..3 {
        assert!((measured.mean[channel] - mean[channel]).abs() < stray, "{measured:?}");
        assert!((measured.deviation[channel] - deviation[channel]).abs() < stray, "{measured:?}");
    }
}
