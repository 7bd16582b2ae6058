use std::fs;
use std::path::Path;

use offramp_domain::exchange::{Epoch, FinishedJob, SweepFile};
use offramp_domain::job::JobKey;
use offramp_domain::outcome::{Artifact, ExitResult, OperatingPoint, Outcome};

use super::*;

/// A finished job of as many exits, points and epochs; even ones have all that is optional.
fn job(number: u32, n_exits: usize, n_points: usize, n_epochs: u32) -> FinishedJob {
    let full = number.is_multiple_of(2);
    let real = |index: usize| 1.0 / (f64::from(number) + index as f64 + 3.0);
    let maybe = |index: usize| full.then(|| real(index));
    let exit = |index: usize| ExitResult {
        accuracy: real(index),
        loss: 1e-300 * real(index),
        calibration_accuracy: 0.1 + 0.2,
        calibration_loss: real(index + 1),
        top5_accuracy: maybe(index),
        ece: maybe(index + 1),
        calibration_top5_accuracy: maybe(index + 2),
        calibration_ece: maybe(index + 3),
    };
    let point = |index: usize| OperatingPoint {
        policy: "max-softmax".into(),
        setting: -real(index),
        macs_cascade: 1e9 * real(index),
        macs_selected: 1e8 * real(index),
        accuracy: real(index),
        calibration_accuracy: real(index + 1),
        calibration_macs_cascade: 1e9 / 7.0,
        exit_shares: (0..n_exits).map(|exit| real(exit) * 1e-7).collect(),
        latency_us: maybe(index),
        images_per_second: maybe(index),
    };
    let epoch = |epoch: u32| Epoch { epoch, loss: full.then_some(0.5), exit_accuracy: vec![0.25, 1.0 / 3.0], images_per_second: 1e4 / 7.0 };
    FinishedJob {
        key: JobKey::parse(&format!("{number:032x}")).unwrap(),
        config_json: format!("{{\"seed\":{number}}}"),
        worker: "Ger\u{e4}t 7".into(),
        version: "0.1.0".into(),
        finished_us: 1_700_000_000_000_000 + i64::from(number),
        outcome: Outcome {
            exits: (0..n_exits).map(exit).collect(),
            operating_points: (0..n_points).map(point).collect(),
            n_train: u32::MAX,
            n_calibration: 10,
            n_test: 10,
            train_seconds: real(0),
            trainer: "burn-flex".into(),
            records: full.then(|| Artifact { path: "/a b.parquet".into(), bytes: 1 << 40, sha256: "0f".repeat(32) }),
        },
        epochs: (1..=n_epochs).map(epoch).collect(),
    }
}

fn sweep() -> SweepFile {
    SweepFile { key: "0".repeat(32), name: "=1+1".into(), text: "name = \"\u{1F600}\"\n".into(), created_us: -1 }
}

fn jobs() -> Vec<FinishedJob> {
    // Jobs whose rows begin and end in the middle of what is read at once.
    (0..40).map(|number| job(number, 1 + number as usize % 5, 70 + number as usize, number % 4)).collect()
}

fn written(folder: &Path, id: &str, jobs: &[FinishedJob]) {
    let mut writer = ArchiveWriter::create(folder, id, true).unwrap();
    writer.add_sweep(&sweep()).unwrap();
    for job in jobs {
        writer.add_job(job).unwrap();
    }
    writer.finish().unwrap();
}

fn read(folder: &Path) -> Result<(Vec<SweepFile>, Vec<FinishedJob>), ArchiveError> {
    let mut reader = ArchiveReader::open(folder)?;
    let (mut sweeps, mut jobs) = (Vec::new(), Vec::new());
    while let Some(sweep) = reader.next_sweep()? {
        sweeps.push(sweep);
    }
    while let Some(job) = reader.next_job()? {
        jobs.push(job);
    }
    Ok((sweeps, jobs))
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn jobs_come_back_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), "a", &jobs());
    assert_eq!(names(folder.path()), ["epochs.parquet", "exits.parquet", "jobs.parquet", "operating-points.parquet", "sweeps.parquet"]);
    assert_eq!(read(folder.path()).unwrap(), (vec![sweep()], jobs()));
}

#[test]
fn an_archive_without_jobs_is_one_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    written(&folder.path().join("new/folder"), "a", &[]);
    assert_eq!(read(&folder.path().join("new/folder")).unwrap(), (vec![sweep()], vec![]));
}

#[test]
fn an_archive_is_not_overwritten_unasked_and_one_given_up_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = ArchiveWriter::create(folder.path(), "a", false).unwrap();
    writer.add_job(&job(0, 2, 3, 1)).unwrap();
    drop(writer);
    assert_eq!(names(folder.path()), [""; 0]);
    written(folder.path(), "a", &jobs()[..1]);
    let refused = ArchiveWriter::create(folder.path(), "b", false).err().unwrap();
    assert!(matches!(refused, WriteArchiveError::Exists(_)), "{refused}");
    assert_eq!(read(folder.path()).unwrap().1, jobs()[..1]);
    written(folder.path(), "b", &jobs()[1..3]);
    assert_eq!(read(folder.path()).unwrap().1, jobs()[1..3]);
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    written(one.path(), "a", &jobs()[..3]);
    written(other.path(), "b", &jobs()[..3]);
    let reason = |error: ArchiveError| match error {
        ArchiveError::Torn { reason, .. } => reason,
        error => panic!("{error}"),
    };
    let exits = fs::read(one.path().join("exits.parquet")).unwrap();
    fs::copy(other.path().join("exits.parquet"), one.path().join("exits.parquet")).unwrap();
    assert_eq!(reason(ArchiveReader::open(one.path()).err().unwrap()), "`exits.parquet` is of another one than `jobs.parquet`");
    fs::write(one.path().join("exits.parquet"), exits).unwrap();
    // Rows are missing, too many, or of another job.
    for (jobs_of_exits, expected) in [
        (&jobs()[..2], "`exits.parquet` lacks rows of job 000000000000"),
        (&jobs()[..4], "`exits.parquet` has rows of no job"),
        (&jobs()[1..4], "`exits.parquet` lacks rows of job 000000000000"),
    ] {
        written(other.path(), "a", jobs_of_exits);
        fs::copy(other.path().join("exits.parquet"), one.path().join("exits.parquet")).unwrap();
        assert_eq!(reason(read(one.path()).unwrap_err()), expected);
    }
    fs::remove_file(one.path().join("epochs.parquet")).unwrap();
    let missing = ArchiveReader::open(one.path()).err().unwrap();
    assert!(matches!(missing, ArchiveError::Missing { missing: "epochs.parquet", .. }), "{missing}");
}

#[test]
fn damaged_archives_are_errors_and_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), "a", &jobs()[..4]);
    for name in names(folder.path()) {
        let path = folder.path().join(&name);
        let content = fs::read(&path).unwrap();
        for length in (0..content.len()).step_by(211) {
            fs::write(&path, &content[..length]).unwrap();
            assert!(read(folder.path()).is_err(), "{name}, {length} bytes");
        }
        for place in (0..content.len()).step_by(53) {
            let mut changed = content.clone();
            changed[place] ^= 0x55;
            fs::write(&path, &changed).unwrap();
            let _ = read(folder.path());
        }
        fs::write(&path, &content).unwrap();
    }
    assert_eq!(read(folder.path()).unwrap().1, jobs()[..4]);
}
