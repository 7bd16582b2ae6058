use std::fs;

use offramp_domain::evaluation::{Records, SplitRecords};
use offramp_domain::job::JobConfig;

use super::*;

fn config() -> JobConfig {
    let json = r#"{"version":1,"backbone":"resnet8","dataset":"digits","branches":null,"recipe":{"epochs":1,"batch_size":8,"optimizer":{"sgd":{"lr":0.1,"momentum":0.9,"nesterov":true,"weight_decay":0.0}},"schedule":"cosine","augment":"none"},"evaluation":{"calibration":0.1,"policies":["max-softmax"]},"seed":3}"#;
    JobConfig::from_json(json).unwrap()
}

fn header() -> Header {
    Header { job: config().key(), attempt: 2, trainer: "by hand".into(), config: config() }
}

/// Numbers that are all different, of so many samples at three exits.
fn split(n_samples: u32, from: f32) -> SplitRecords {
    let mut split = SplitRecords::new(3);
    for sample in 0..n_samples {
        let logits: Vec<Vec<f32>> = (0..3_u8)
            .map(|exit| {
                (0..4_u8).map(|class| (from + sample as f32 * 1.7 + f32::from(exit) * 3.1 + f32::from(class) * 5.3).sin() * 4.0).collect()
            })
            .collect();
        split.push(1_000 + 7 * sample, sample % 4, logits.iter().map(Vec::as_slice));
    }
    split
}

fn records() -> Records {
    Records { calibration: split(5, 0.5), test: split(9, 100.0) }
}

#[test]
fn what_is_read_is_what_was_written_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("not/there/yet");
    let artifact = write(&deep, &header(), &records()).unwrap();
    let path = std::path::Path::new(&artifact.path);
    assert!(path.is_absolute() && path.ends_with(file_name(&config().key(), 2)), "{}", artifact.path);
    let content = fs::read(path).unwrap();
    assert_eq!(content.len() as u64, artifact.bytes);
    assert_eq!(read(path, Some(&artifact.sha256)).unwrap(), (header(), records()));
    assert_eq!(fs::read_dir(&deep).unwrap().count(), 1, "no draft is left behind");

    // Again, and it is the same file.
    assert_eq!(write(&deep, &header(), &records()).unwrap(), artifact);
    assert_eq!(fs::read(path).unwrap(), content);
    // Another attempt's is another file.
    let other = write(&deep, &Header { attempt: 3, ..header() }, &records()).unwrap();
    assert_ne!(other.path, artifact.path);
    assert!(path.exists());
}

#[test]
fn numbers_that_are_none_and_the_largest_survive() {
    let mut records = records();
    records.test.exits[0].loss[3] = f32::NAN;
    records.test.exits[1].entropy[0] = f32::MIN_POSITIVE / 2.0;
    records.test.indices[1] = u32::MAX;
    let folder = tempfile::tempdir().unwrap();
    let artifact = write(folder.path(), &header(), &records).unwrap();
    let (_, found) = read(artifact.path.as_ref(), None).unwrap();
    assert!(found.test.exits[0].loss[3].is_nan());
    assert_eq!((found.test.exits[1].entropy[0], found.test.indices[1]), (f32::MIN_POSITIVE / 2.0, u32::MAX));
}

#[test]
fn a_file_is_refused_that_is_not_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let artifact = write(folder.path(), &header(), &records()).unwrap();
    let content = fs::read(&artifact.path).unwrap();
    let path = folder.path().join("spoilt.parquet");
    let refused = |content: &[u8], sha256: Option<&str>| {
        fs::write(&path, content).unwrap();
        read(&path, sha256).unwrap_err()
    };
    let mut changed = content.clone();
    changed[100] ^= 1;
    assert!(matches!(refused(&changed, Some(&artifact.sha256)), ReadError::Digest { .. }));
    assert!(matches!(refused(&content[..content.len() / 2], None), ReadError::Parquet { .. }));
    assert!(matches!(refused(b"", None), ReadError::Parquet { .. }));
    assert!(matches!(read(&folder.path().join("none"), None).unwrap_err(), ReadError::Io { .. }));
    // Whatever is cut off or changed anywhere is an answer and not a panic: odd steps, so that all kinds of places are met.
    for length in (0..content.len()).step_by(61) {
        refused(&content[..length], None);
    }
    for place in (0..content.len()).step_by(17) {
        let mut changed = content.clone();
        changed[place] ^= 0x55;
        fs::write(&path, &changed).unwrap();
        let _ = read(&path, None);
    }
}

#[test]
fn records_that_are_not_whole_are_refused() {
    let refused = |spoil: fn(&mut Records)| {
        let mut records = records();
        spoil(&mut records);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spoilt.parquet");
        fs::write(&path, write::encode(&header(), &records).unwrap()).unwrap();
        match read(&path, None).unwrap_err() {
            ReadError::Layout { reason, .. } => reason,
            error => panic!("{error}"),
        }
    };
    assert_eq!(refused(|records| records.test = SplitRecords::new(3)), "the rows of `test` are not every exit's of every sample");
    assert_eq!(refused(|records| drop(records.test.exits.pop())), "both splits have the same exits");
}
