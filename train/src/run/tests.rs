use std::cell::Cell;

use burn::tensor::ExecutionError;
use offramp_domain::job::{
    Augment, BranchConfig, BranchRule, Budget, Clip, Distill, Evaluation, ExitPlacement, ExitWeights, Optimizer, Pattern, Policy, Recipe,
    Schedule,
};

use super::*;
use crate::training::STEPS_BETWEEN_READS;

/// A job on the digits: `resnet8` with six levels of branches, decreasing.
fn job(epochs: u32) -> JobConfig {
    JobConfig::new(
        "resnet8",
        "digits",
        Some(BranchConfig {
            exits: ExitPlacement::StageEnds,
            pattern: Pattern::Decreasing(0.5),
            budget: Budget::Levels(6),
            rule: BranchRule::Auto,
        }),
        Recipe::new(
            epochs,
            32,
            Optimizer::Sgd { lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 5e-4 },
            Schedule::Cosine,
            Augment::Crop,
        ),
        Evaluation::new(0.1, vec![Policy::MaxSoftmax]),
        1,
    )
}

fn with_rate(mut config: JobConfig, rate: f64) -> JobConfig {
    config.recipe.optimizer = Optimizer::Sgd { lr: rate, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    config
}

fn environment() -> Environment {
    Environment { data_dir: PathBuf::from("nowhere"), device: DeviceChoice::Cpu, checkpoints: None }
}

/// Keeps what it is told, and stops the run when it has been asked `stop_at` times.
struct Keep {
    heard: Vec<Progress>,
    records: Option<Records>,
    n_asked: Cell<u32>,
    stop_at: u32,
}

impl Keep {
    fn new() -> Self {
        Self { heard: Vec::new(), records: None, n_asked: Cell::new(0), stop_at: u32::MAX }
    }
}

impl Observer for Keep {
    fn progress(&mut self, progress: Progress) {
        self.heard.push(progress);
    }

    fn records(&mut self, records: &Records) {
        self.records = Some(records.clone());
    }

    fn stopped(&self) -> bool {
        self.n_asked.set(self.n_asked.get() + 1);
        self.n_asked.get() >= self.stop_at
    }
}

/// Runs a job from scratch; the outcome without the one figure that a clock decides.
fn outcome(config: &JobConfig) -> Outcome {
    let outcome = run(config, &environment(), &mut Cache::default(), &mut Keep::new()).unwrap();
    Outcome { train_seconds: 0.0, ..outcome }
}

#[test]
fn three_epochs_on_the_digits_learn_them() {
    let config = job(3);
    let mut observer = Keep::new();
    let outcome = run(&config, &environment(), &mut Cache::default(), &mut observer).unwrap();

    // 10 % of 1,438 are 143.8.
    assert_eq!((outcome.n_train, outcome.n_calibration, outcome.n_test), (1294, 144, 359));
    assert_eq!(outcome.trainer, "burn-flex");
    assert!(outcome.train_seconds > 0.0);
    assert_eq!(outcome.exits.len(), 4);
    for exit in &outcome.exits {
        assert!(exit.accuracy > 0.8 && exit.calibration_accuracy > 0.8 && exit.loss < 1.0, "chance is 0.1 and 2.3 nats: {exit:?}");
    }
    assert!(outcome.exits[3].accuracy > 0.93, "{:?}", outcome.exits);

    let epochs: Vec<(u32, u32)> = observer.heard.iter().map(|progress| (progress.epoch, progress.n_epochs)).collect();
    assert_eq!(epochs, [(1, 3), (2, 3), (3, 3)]);
    assert!(observer.heard.iter().all(|progress| progress.images_per_second > 0.0 && progress.exit_accuracy.len() == 4));
    // Joint training of four exits starts at 4 ln 10 = 9.2 nats.
    assert!(observer.heard[0].loss < 9.2 && observer.heard[2].loss < 0.5 * observer.heard[0].loss);
    let last: Vec<f64> = outcome.exits.iter().map(|exit| exit.calibration_accuracy).collect();
    assert_eq!(observer.heard[2].exit_accuracy, last);
}

#[test]
fn speed_is_measured_on_demand_and_changes_nothing_else() {
    let plain = job(1);
    let mut timed = job(1);
    timed.evaluation.latency = true;
    let mut observer = Keep::new();
    let mut measured = run(&timed, &environment(), &mut Cache::default(), &mut observer).unwrap();
    let n_measured = measured.operating_points.iter().filter(|point| point.latency_us.is_some()).count();
    assert!(n_measured >= 4, "the fixed points at least");
    for point in &mut measured.operating_points {
        assert_eq!(point.latency_us.take().is_some(), point.images_per_second.take().is_some());
    }
    assert_eq!(Outcome { train_seconds: 0.0, ..measured }, outcome(&plain));

    // The result follows from the records that were handed over.
    let records = observer.records.unwrap();
    assert_eq!((records.calibration.len(), records.test.len()), (144, 359));
    let network = network::assemble(&plain).unwrap();
    let evaluated = evaluate(&network, &plain.evaluation, &records.calibration, &records.test);
    assert_eq!(evaluated.operating_points, outcome(&plain).operating_points);
}

#[test]
fn operating_points_carry_the_networks_costs() {
    let config = job(1);
    let costs = network::assemble(&config).unwrap().exit_costs();
    let points = outcome(&config).operating_points;
    for (index, cost) in costs.iter().enumerate() {
        assert_eq!((points[index].policy.as_str(), points[index].setting), ("fixed", index as f64));
        assert_eq!(points[index].macs_cascade, cost.macs_cascade as f64);
        assert_eq!(points[index].macs_selected, cost.macs_selected as f64);
    }
    assert!(points[4..].iter().all(|point| point.policy == "max-softmax"));
    assert!(points.len() > 4);
}

#[test]
fn a_network_without_branches_trains_too() {
    let config = JobConfig { branches: None, ..job(1) };
    let outcome = outcome(&config);
    assert_eq!((outcome.exits.len(), outcome.operating_points.len()), (1, 1));
    assert!(outcome.exits[0].calibration_loss.is_finite());
}

#[test]
fn results_are_bit_identical_over_repetitions_thread_counts_and_warm_datasets() {
    let config = job(2);
    let reference = outcome(&config);
    for n_threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        assert_eq!(pool.install(|| outcome(&config)), reference, "{n_threads} threads");
    }
    let mut datasets = Cache::default();
    for _ in 0..2 {
        let warm = run(&config, &environment(), &mut datasets, &mut Keep::new()).unwrap();
        assert_eq!(Outcome { train_seconds: 0.0, ..warm }, reference);
    }
}

#[test]
fn trainings_side_by_side_do_not_disturb_each_other() {
    let config = job(1);
    let reference = outcome(&config);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| outcome(&JobConfig { seed: 2, ..config.clone() }));
        assert_eq!(outcome(&config), reference);
        assert_ne!(other.join().unwrap().exits, reference.exits);
    });
}

#[test]
fn the_observer_stops_a_run_between_steps_and_in_evaluations() {
    // 1,294 images in batches of 32 are 41 steps an epoch, the 144 images for calibration 2 batches: asked for the 42nd time, the run is in
    // its first evaluation; for the 60th, in its second epoch; for the 46th in a run of one epoch, on its way through the test split.
    for (epochs, stop_at, n_heard) in [(3, 42, 0), (3, 60, 1), (1, 46, 1)] {
        let mut observer = Keep { stop_at, ..Keep::new() };
        let error = run(&job(epochs), &environment(), &mut Cache::default(), &mut observer).unwrap_err();
        assert!(matches!(error, TrainError::Stopped));
        assert_eq!((observer.n_asked.get(), observer.heard.len()), (stop_at, n_heard));
    }
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_as_diverged() {
    let mut observer = Keep::new();
    let error = run(&with_rate(job(2), 1e30), &environment(), &mut Cache::default(), &mut observer).unwrap_err();
    assert!(matches!(error, TrainError::Diverged { epoch: 1, .. }), "{error}");
    assert_eq!(error.kind(), FailureKind::Diverged);
    // Seen long before the epoch's 41 steps are over.
    assert!(observer.heard.is_empty() && observer.n_asked.get() <= 2 * STEPS_BETWEEN_READS as u32);
}

#[test]
fn a_device_without_memory_is_told_from_one_that_failed() {
    let kind =
        |reason: &str| TrainError::from(TensorReadError::Execution(ExecutionError::WithContext { reason: reason.to_owned() })).kind();
    assert_eq!(kind("An out-of-memory error happened during launch"), FailureKind::OutOfMemory);
    assert_eq!(kind("CUDA_ERROR_OUT_OF_MEMORY"), FailureKind::OutOfMemory);
    assert_eq!(kind("out of device memory allocating 4096 bytes"), FailureKind::OutOfMemory);
    assert_eq!(kind("an illegal memory access was encountered"), FailureKind::Failed);
}

#[test]
fn what_cannot_be_trained_is_said() {
    let complaint = |config: &JobConfig| {
        let error = run(config, &environment(), &mut Cache::default(), &mut Keep::new()).unwrap_err();
        let is_about_data = matches!(error, TrainError::Data(_));
        assert_eq!(error.kind(), if is_about_data { FailureKind::NoData } else { FailureKind::Failed });
        error.to_string()
    };
    let mut no_batch = job(1);
    no_batch.recipe.batch_size = 0;
    assert_eq!(complaint(&no_batch), "`recipe.batch_size` cannot be 0");
    let mut all_calibration = job(1);
    all_calibration.evaluation.calibration = 1.0;
    assert_eq!(complaint(&all_calibration), "`evaluation.calibration` cannot be 1");
    let with_recipe = |change: fn(&mut Recipe)| {
        let mut config = job(1);
        change(&mut config.recipe);
        config
    };
    assert_eq!(complaint(&with_recipe(|recipe| recipe.mixup = Some(0.0))), "`recipe.mixup` cannot be 0");
    assert_eq!(complaint(&with_recipe(|recipe| recipe.ema = Some(1.0))), "`recipe.ema` cannot be 1");
    assert_eq!(complaint(&with_recipe(|recipe| recipe.clip = Some(Clip::Norm(-1.0)))), "`recipe.clip` cannot be -1");
    let too_few = JobConfig { exit_weights: ExitWeights::List(vec![1.0, 2.0]), ..job(1) };
    assert_eq!(complaint(&too_few), "`exit_weights` has 2 weights for 4 exits");
    let cold = JobConfig { distill: Distill::Last { temperature: 0.0, lambda: 0.5 }, ..job(1) };
    assert_eq!(complaint(&cold), "`distill.temperature` cannot be 0");
    assert_eq!(complaint(&JobConfig { backbone: "resnet9".to_owned(), ..job(1) }), "the configuration describes no network");
    assert_eq!(complaint(&JobConfig { dataset: "cifar10".to_owned(), ..job(1) }), "cannot load the dataset");
}

#[test]
fn pretrained_weights_must_be_there_and_be_the_ones_that_are_meant() {
    let folder = tempfile::tempdir().unwrap();
    let environment = Environment { data_dir: folder.path().to_owned(), ..environment() };
    let pretrained = Pretrained { file: "weights.safetensors".to_owned(), sha256: "0".repeat(64) };
    let config = JobConfig { pretrained: Some(pretrained), ..job(1) };
    let refused = || {
        let error = run(&config, &environment, &mut Cache::default(), &mut Keep::new()).unwrap_err();
        assert_eq!(error.kind(), FailureKind::NoData, "another worker may have it");
        crate::checkpoint::with_sources(&error)
    };
    assert!(refused().contains("weights.safetensors"));
    std::fs::write(folder.path().join("weights.safetensors"), "abc").unwrap();
    // The hash of "abc" is the example of FIPS 180-2, appendix B.1.
    assert!(refused().contains("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
}

#[test]
fn too_few_images_to_calibrate_on_are_refused_before_any_training() {
    let folder = tempfile::tempdir().unwrap();
    let batches = folder.path().join("cifar-10-batches-bin");
    std::fs::create_dir(&batches).unwrap();
    // One image a class: the last of a class is never held out.
    let images: Vec<u8> = (0..10_u8).flat_map(|class| std::iter::once(class).chain([class; 3072])).collect();
    std::fs::write(batches.join("data_batch_1.bin"), &images).unwrap();
    std::fs::write(batches.join("test_batch.bin"), &images).unwrap();
    let config = JobConfig { dataset: "cifar10".to_owned(), ..job(1) };
    let environment = Environment { data_dir: folder.path().to_owned(), ..environment() };
    let mut keep = Keep::new();
    let error = run(&config, &environment, &mut Cache::default(), &mut keep).unwrap_err();
    let said = "`cifar10` has 10 training images here, too few to hold 0.1 of them out for calibration and keep one of each class";
    assert_eq!(error.to_string(), said);
    assert!(keep.heard.is_empty());
}
