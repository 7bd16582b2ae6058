use offramp_domain::job::{Augment, Evaluation, Optimizer, Policy, Recipe, Schedule};

use super::*;

fn config(seed: u64) -> JobConfig {
    let optimizer = Optimizer::Sgd { lr: 0.1, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let recipe = Recipe::new(9, 16, optimizer, Schedule::Constant, Augment::None);
    JobConfig::new("resnet8", "digits", None, recipe, Evaluation::new(0.1, vec![Policy::MaxSoftmax]), seed)
}

fn state(n_epochs: u32) -> State {
    State { n_epochs, phase: 0, train_seconds: 1.5, n_averaged: 7, exit_accuracy: vec![0.1 + 0.2, 0.5] }
}

fn parts(n_epochs: u32) -> Parts {
    let part = |text: String| Bytes::from_bytes_vec(text.into_bytes());
    [("model.bpk", "weights"), ("optimizer.bpk", "momenta")]
        .map(|(name, what)| (name.to_owned(), part(format!("{what} after {n_epochs}"))))
        .into()
}

/// A folder with the checkpoints of one job after the given epochs.
struct Kept {
    checkpoints: Checkpoints,
    folder: tempfile::TempDir,
}

impl Kept {
    fn after(epochs: &[u32]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints { dir: folder.path().join("checkpoints"), every: Duration::ZERO };
        let kept = Self { checkpoints, folder };
        for &n_epochs in epochs {
            kept.store().save(&state(n_epochs), &parts(n_epochs)).unwrap();
        }
        kept
    }

    fn store(&self) -> Store {
        self.checkpoints.of(&config(1), "burn-flex")
    }

    fn path(&self, file: &str) -> PathBuf {
        self.checkpoints.dir.join(config(1).key().as_str()).join(file)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("")).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    /// After how many epochs the checkpoint is that is taken.
    fn taken(&self) -> Option<u32> {
        taken(&self.store())
    }

    /// Why a generation is not taken.
    fn refusal(&self, generation: &str) -> String {
        with_sources(&self.store().load(&self.path(generation)).unwrap_err())
    }
}

fn taken(store: &Store) -> Option<u32> {
    store.newest(|state, _| Ok(state.n_epochs))
}

#[test]
fn what_was_written_comes_back() {
    let kept = Kept::after(&[3]);
    let (read, parts_read) = kept.store().newest(|state, parts| Ok((state, parts))).unwrap();
    assert_eq!(read, state(3));
    assert_eq!(parts_read, parts(3));
    assert_eq!(Kept::after(&[]).taken(), None);
}

#[test]
fn the_newest_two_are_kept_and_numbers_are_compared_as_numbers() {
    let kept = Kept::after(&[8, 9, 10]);
    assert_eq!(kept.names(), ["000009", "000010"]);
    assert_eq!(kept.taken(), Some(10));
    let many = Kept::after(&[999_999, 1_000_000]);
    assert_eq!(many.taken(), Some(1_000_000));
}

#[test]
fn what_is_damaged_is_not_taken_and_the_one_before_it_is() {
    type Damage = fn(&Path);
    let flip: Damage = |path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[3] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let cut: Damage = |path| fs::write(path, &fs::read(path).unwrap()[..5]).unwrap();
    let remove: Damage = |path| fs::remove_file(path).unwrap();
    for file in ["model.bpk", "optimizer.bpk", MANIFEST, SUMS] {
        for damage in [flip, cut, remove] {
            let kept = Kept::after(&[1, 2]);
            damage(&kept.path("000002").join(file));
            assert_eq!(kept.taken(), Some(1), "{file}");
            damage(&kept.path("000001").join(file));
            assert_eq!(kept.taken(), None, "{file}");
        }
    }
    let kept = Kept::after(&[1]);
    fs::write(kept.path("000001/model.bpk"), "abc").unwrap();
    // The hash of "abc" is the example of FIPS 180-2, appendix B.1.
    let refusal = kept.refusal("000001");
    assert!(refusal.contains("SHA-256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad, expected "), "{refusal}");
}

#[test]
fn what_the_caller_refuses_is_not_taken_either() {
    let kept = Kept::after(&[1, 2]);
    let choosy = |state: State, _| if state.n_epochs == 2 { Err(LoadError::NoPart("model.bpk")) } else { Ok(state.n_epochs) };
    assert_eq!(kept.store().newest(choosy), Some(1));
}

#[test]
fn another_jobs_or_trainers_checkpoint_is_refused() {
    let kept = Kept::after(&[1]);
    assert_eq!(taken(&kept.checkpoints.of(&config(1), "burn-cuda")), None);
    let other = kept.checkpoints.of(&config(2), "burn-flex");
    assert_eq!(taken(&other), None);
    // Put in the other job's place, it is still whole, and still not its own.
    fs::rename(kept.path(""), &other.folder).unwrap();
    assert_eq!(taken(&other), None);
    let refusal = with_sources(&other.load(&other.folder.join("000001")).unwrap_err());
    assert!(refusal.starts_with(&format!("a checkpoint of job {}, trained by burn-flex", config(1).key().as_str())), "{refusal}");
}

#[test]
fn another_layout_is_refused() {
    let kept = Kept::after(&[1]);
    let manifest = r#"{ "format": 2, "all": "new" }"#;
    fs::write(kept.path("000001").join(MANIFEST), manifest).unwrap();
    fs::write(kept.path("000001").join(SUMS), format!("{}  {MANIFEST}\n", sha256(manifest.as_bytes()))).unwrap();
    assert_eq!(kept.refusal("000001"), "a checkpoint of format 2, this build reads format 1");
}

#[test]
fn what_was_only_begun_is_not_taken_and_goes_with_the_next() {
    let kept = Kept::after(&[1]);
    fs::rename(kept.path("000001"), kept.path(".000001.4000000")).unwrap();
    assert_eq!(kept.taken(), None);
    kept.store().save(&state(2), &parts(2)).unwrap();
    assert_eq!(kept.names(), ["000002"]);
}

#[test]
fn a_generation_that_was_not_taken_is_replaced() {
    let kept = Kept::after(&[1]);
    fs::write(kept.path("000001/model.bpk"), "abc").unwrap();
    kept.store().save(&state(1), &parts(1)).unwrap();
    assert_eq!(kept.taken(), Some(1));
}

#[test]
fn a_disk_that_takes_nothing_is_said() {
    let kept = Kept::after(&[]);
    fs::write(&kept.checkpoints.dir, "in the way").unwrap();
    let error = kept.store().save(&state(1), &parts(1)).unwrap_err();
    assert!(error.to_string().starts_with("cannot write `"), "{error}");
}

#[test]
fn what_the_disk_did_not_take_leaves_nothing_behind() {
    let kept = Kept::after(&[1]);
    // A part that cannot be written: its folder is not there.
    let mut spoilt = parts(2);
    spoilt.insert("no/such/folder".to_owned(), Bytes::from_bytes_vec(vec![1]));
    kept.store().save(&state(2), &spoilt).unwrap_err();
    assert_eq!(kept.names(), ["000001"]);
}

#[test]
fn forgotten_is_forgotten() {
    let kept = Kept::after(&[1, 2]);
    kept.store().forget();
    assert_eq!(kept.taken(), None);
    assert!(!kept.path("").exists());
    // Twice is no harm.
    kept.store().forget();
}

#[test]
fn only_old_folders_of_jobs_are_removed() {
    let kept = Kept::after(&[1]);
    fs::create_dir(kept.checkpoints.dir.join("notes")).unwrap();
    let written = fs::metadata(kept.path("")).unwrap().modified().unwrap();
    kept.checkpoints.remove_older_than(written);
    assert_eq!(kept.taken(), Some(1));
    kept.checkpoints.remove_older_than(written + Duration::from_secs(1));
    assert_eq!(kept.taken(), None);
    assert!(kept.checkpoints.dir.join("notes").exists());
    // Where there is no folder, there is nothing to remove.
    Checkpoints { dir: kept.folder.path().join("nowhere"), every: Duration::ZERO }.remove_older_than(written);
}
