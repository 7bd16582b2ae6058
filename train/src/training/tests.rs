//! Every value of every axis, every family of backbones and every pattern trains, and comes out the same bit for bit where it is killed
//! after each epoch and goes on.

use std::cell::Cell;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use offramp_domain::evaluation::Records;
use offramp_domain::job::{
    Augment, BranchConfig, BranchRule, Budget, Clip, Distill, EnsembleWeights, Evaluation, ExitPlacement, ExitWeights, Optimizer, Pattern,
    Policy, Precision, Recipe, Regime, Schedule,
};
use offramp_domain::network;

use super::*;
use crate::batches::Normalisation;
use crate::regime::Part::{All, Backbone, Branches};
use crate::split::Split;
use offramp_data::{Images, LoadedDataset, digits};

const SGD: Optimizer = Optimizer::Sgd { lr: 0.05, momentum: 0.9, nesterov: true, weight_decay: 5e-4 };
const LEARNED: Distill = Distill::Ensemble { temperature: 3.0, lambda: 0.5, weights: EnsembleWeights::Learned };
const CALIBRATED: Distill = Distill::Ensemble { temperature: 3.0, lambda: 0.5, weights: EnsembleWeights::Calibration };

/// Two epochs of `resnet8` with three branches.
fn base() -> JobConfig {
    JobConfig::new(
        "resnet8",
        "digits",
        Some(BranchConfig {
            exits: ExitPlacement::StageEnds,
            pattern: Pattern::Constant,
            budget: Budget::Levels(3),
            rule: BranchRule::Auto,
        }),
        Recipe::new(2, 16, SGD, Schedule::Cosine, Augment::None),
        Evaluation::new(0.1, vec![Policy::MaxSoftmax]),
        1,
    )
}

fn with(change: impl FnOnce(&mut JobConfig)) -> JobConfig {
    let mut config = base();
    change(&mut config);
    config
}

fn with_recipe(change: impl FnOnce(&mut Recipe)) -> JobConfig {
    with(|config| change(&mut config.recipe))
}

/// One job for each value of each axis, and two for many values at once.
fn jobs() -> Vec<JobConfig> {
    let adamw = Optimizer::AdamW { lr: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.05 };
    let mut jobs = vec![base(), with_recipe(|recipe| recipe.optimizer = adamw)];
    let schedules = [
        Schedule::Constant,
        Schedule::Step { milestones: vec![1], gamma: 0.1 },
        Schedule::Warmup { epochs: 1, then: Box::new(Schedule::Cosine) },
        Schedule::OneCycle { warmup: 0.4, start_divisor: 25.0, end_divisor: 1e4 },
    ];
    jobs.extend(schedules.map(|schedule| with_recipe(|recipe| recipe.schedule = schedule)));
    let augments = [Augment::Crop, Augment::Flip, Augment::CropFlip, Augment::CropFlipReflect];
    jobs.extend(augments.map(|augment| with_recipe(|recipe| recipe.augment = augment)));
    jobs.extend([Clip::Norm(0.5), Clip::Value(0.01)].map(|clip| with_recipe(|recipe| recipe.clip = Some(clip))));
    jobs.push(with_recipe(|recipe| recipe.cutout = Some(4)));
    jobs.push(with_recipe(|recipe| recipe.mixup = Some(0.2)));
    jobs.push(with_recipe(|recipe| recipe.label_smoothing = 0.1));
    jobs.push(with_recipe(|recipe| recipe.decay_norm = false));
    jobs.push(with_recipe(|recipe| recipe.ema = Some(0.99)));
    jobs.push(with_recipe(|recipe| recipe.precision = Precision::Bf16));
    jobs.push(with(|config| {
        config.recipe.precision = Precision::Bf16;
        config.regime = Regime::Frozen { backbone_epochs: 1 };
    }));
    let two_phases = [Regime::Frozen { backbone_epochs: 1 }, Regime::Mixed { backbone_epochs: 1 }, Regime::Frozen { backbone_epochs: 0 }];
    jobs.extend(two_phases.map(|regime| with(|config| config.regime = regime)));
    let teachers = [Distill::Last { temperature: 3.0, lambda: 0.5 }, LEARNED, CALIBRATED];
    jobs.extend(teachers.map(|distill| with(|config| config.distill = distill)));
    let weights = [ExitWeights::Linear, ExitWeights::Ramp { max: 0.5 }, ExitWeights::List(vec![0.2, 0.3, 0.5, 1.0])];
    jobs.extend(weights.map(|exit_weights| with(|config| config.exit_weights = exit_weights)));
    jobs.push(with(|config| config.gradient_equilibrium = true));
    jobs.push(with(|config| config.branches = None));
    for regime in [Regime::Frozen { backbone_epochs: 1 }, Regime::Mixed { backbone_epochs: 1 }] {
        jobs.push(with(|config| {
            config.regime = regime;
            config.distill = LEARNED;
            config.exit_weights = ExitWeights::Ramp { max: 0.5 };
            config.recipe = Recipe {
                optimizer: adamw,
                augment: Augment::CropFlipReflect,
                cutout: Some(3),
                mixup: Some(0.5),
                label_smoothing: 0.1,
                clip: Some(Clip::Norm(1.0)),
                decay_norm: false,
                ema: Some(0.9),
                ..config.recipe.clone()
            };
        }));
    }
    jobs
}

/// Numbers the kinds of values of each axis. A new kind has no number, and does not compile until it has one.
fn kinds(config: &JobConfig) -> [(&'static str, usize, usize); 8] {
    let Recipe { optimizer, schedule, augment, clip, precision, .. } = &config.recipe;
    let optimizer = match optimizer {
        Optimizer::Sgd { .. } => 0,
        Optimizer::AdamW { .. } => 1,
    };
    let schedule = match schedule {
        Schedule::Constant => 0,
        Schedule::Cosine => 1,
        Schedule::Step { .. } => 2,
        Schedule::Warmup { .. } => 3,
        Schedule::OneCycle { .. } => 4,
    };
    let augment = match augment {
        Augment::None => 0,
        Augment::Crop => 1,
        Augment::Flip => 2,
        Augment::CropFlip => 3,
        Augment::CropFlipReflect => 4,
    };
    let clip = match clip {
        None => 0,
        Some(Clip::Norm(_)) => 1,
        Some(Clip::Value(_)) => 2,
    };
    let precision = match precision {
        Precision::F32 => 0,
        Precision::Bf16 => 1,
    };
    let regime = match config.regime {
        Regime::Joint => 0,
        Regime::Frozen { .. } => 1,
        Regime::Mixed { .. } => 2,
    };
    let distill = match config.distill {
        Distill::None => 0,
        Distill::Last { .. } => 1,
        Distill::Ensemble { weights: EnsembleWeights::Learned, .. } => 2,
        Distill::Ensemble { weights: EnsembleWeights::Calibration, .. } => 3,
    };
    let exit_weights = match config.exit_weights {
        ExitWeights::Equal => 0,
        ExitWeights::Linear => 1,
        ExitWeights::Ramp { .. } => 2,
        ExitWeights::List(_) => 3,
    };
    [
        ("optimizer", optimizer, 2),
        ("schedule", schedule, 5),
        ("augment", augment, 5),
        ("clip", clip, 3),
        ("precision", precision, 2),
        ("regime", regime, 3),
        ("distill", distill, 4),
        ("exit_weights", exit_weights, 4),
    ]
}

#[test]
fn every_kind_of_every_axis_is_among_the_jobs() {
    let listed: Vec<_> = jobs().iter().flat_map(kinds).collect();
    for (axis, _, n_kinds) in kinds(&base()) {
        for kind in 0..n_kinds {
            assert!(listed.contains(&(axis, kind, n_kinds)), "kind {kind} of {axis}");
        }
    }
}

/// One job for each family of backbones and each pattern, on generated images. Exits stand where the coarsest backbone has units.
fn jobs_of_families_and_patterns() -> Vec<JobConfig> {
    let job = |backbone: &str, exits, pattern| {
        with(|config| {
            (config.backbone, config.dataset) = (backbone.to_owned(), "synthetic-3x32x32-10-72-10".to_owned());
            config.branches = Some(BranchConfig::canonical(exits, pattern, Budget::Share(0.2997), BranchRule::Joint));
        })
    };
    let families = ["resnet8-b", "wrn-10-1", "vgg11-bn", "mobilenetv1", "mobilenetv2", "densenet-bc-10-12", "msdnet-4-2-2"];
    let patterns = [
        Pattern::Increasing(0.6),
        Pattern::Decreasing(0.6),
        Pattern::Geometric(-2.5),
        Pattern::RemainingWork(2.0),
        Pattern::Hump(1.0),
        Pattern::Single(2),
        Pattern::Random(8),
        Pattern::List(vec![0.5, 0.3, 0.2]),
        Pattern::FinalOnly,
    ];
    let mut jobs: Vec<JobConfig> = families.map(|backbone| job(backbone, ExitPlacement::StageEnds, Pattern::Constant)).into();
    jobs.extend(patterns.map(|pattern| job("resnet8", ExitPlacement::StageEnds, pattern)));
    jobs.push(job("msdnet-4-2-2", ExitPlacement::Own, Pattern::Own));
    jobs
}

/// 48 images to train on and 24 to calibrate on.
fn dataset(config: &JobConfig) -> LoadedDataset {
    if config.dataset != "digits" {
        return offramp_data::load(&offramp_domain::dataset::parse(&config.dataset).unwrap(), Path::new("nowhere")).unwrap();
    }
    let all = digits::load().train;
    let few = Images { shape: all.shape, pixels: all.pixels[..72 * all.image_len()].to_vec(), labels: all.labels[..72].to_vec() };
    LoadedDataset { train: few.clone(), test: few }
}

/// Ends a run as soon as it has heard of so many epochs.
struct EndAfter {
    n_epochs: usize,
    heard: Vec<u32>,
    n_asked: Cell<u32>,
}

impl EndAfter {
    fn epochs(n_epochs: usize) -> Self {
        Self { n_epochs, heard: Vec::new(), n_asked: Cell::new(0) }
    }
}

impl Observer for EndAfter {
    fn progress(&mut self, progress: Progress) {
        self.heard.push(progress.epoch);
    }

    fn records(&mut self, _records: &Records) {}

    fn stopped(&self) -> bool {
        self.n_asked.set(self.n_asked.get() + 1);
        self.heard.len() >= self.n_epochs
    }
}

/// Every number of a model, weights and running statistics.
fn bits(model: &MultiExit) -> Vec<u32> {
    struct Bits(Vec<u32>);
    impl ModuleVisitor for Bits {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(param.val().try_into_vec_as::<f32>().unwrap().into_iter().map(f32::to_bits));
        }
    }
    let mut bits = Bits(Vec::new());
    model.visit(&mut bits);
    bits.0
}

/// Trains a job, with checkpoints after every epoch where there is a folder for them.
fn attempt(config: &JobConfig, folder: Option<&Path>, observer: &mut EndAfter) -> Result<Trained, TrainError> {
    let dataset = dataset(config);
    let split = Split { train: (0..48).collect(), calibration: (48..72).collect() };
    let material =
        Material { dataset: &dataset, normalisation: Normalisation::measure(&dataset.train, &split.train), split, n_classes: 10 };
    let network = network::assemble(config).unwrap();
    let device = Device::flex();
    let mut saving = folder.map(|dir| {
        let checkpoints = Checkpoints { dir: dir.to_owned(), every: Duration::ZERO };
        Saving::new(&checkpoints, config, "burn-flex")
    });
    train(Job { network: &network, config, material: &material, device: &device, pretrained: None }, saving.as_mut(), observer)
}

#[test]
fn every_job_trains_and_ends_the_same_where_it_is_killed_after_every_epoch() {
    jobs().iter().for_each(check_every_kill);
}

#[test]
fn every_family_and_every_pattern_trains_and_ends_the_same_where_it_is_killed() {
    jobs_of_families_and_patterns().iter().for_each(check_every_kill);
}

/// Trains a job undisturbed, and with a kill after each epoch.
fn check_every_kill(config: &JobConfig) {
    let what = format!("{} {}; {}; {}", config.backbone, config.pattern_label(), config.recipe_label(), config.distill_label());
    let mut undisturbed = EndAfter::epochs(usize::MAX);
    let reference = bits(&attempt(config, None, &mut undisturbed).unwrap().model);
    assert!(reference.iter().all(|&number| f32::from_bits(number).is_finite()), "{what}");
    let n_epochs = undisturbed.heard.len() as u32;

    let folder = tempfile::tempdir().unwrap();
    for epoch in 1..n_epochs {
        let mut killed = EndAfter::epochs(1);
        assert!(matches!(attempt(config, Some(folder.path()), &mut killed), Err(TrainError::Stopped)), "{what}");
        // One epoch further than the attempt before: it went on from where that one ended.
        assert_eq!(killed.heard, [epoch], "{what}");
    }
    let mut last = EndAfter::epochs(usize::MAX);
    let resumed = attempt(config, Some(folder.path()), &mut last).unwrap();
    assert_eq!(last.heard, [n_epochs], "{what}");
    assert!(bits(&resumed.model) == reference, "{what}");
}

#[test]
fn a_job_that_was_killed_after_its_last_epoch_trains_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let config = with(|config| config.regime = Regime::Frozen { backbone_epochs: 1 });
    let mut first = EndAfter::epochs(usize::MAX);
    let reference = attempt(&config, Some(folder.path()), &mut first).unwrap();
    assert_eq!(first.heard, [1, 2, 3]);
    let mut again = EndAfter::epochs(usize::MAX);
    let resumed = attempt(&config, Some(folder.path()), &mut again).unwrap();
    assert!(again.heard.is_empty() && again.n_asked.get() == 0);
    assert!(bits(&resumed.model) == bits(&reference.model));
    assert_eq!(resumed.seconds, reference.seconds);
}

#[test]
fn a_checkpoint_of_another_network_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let other = with(|config| config.branches = None);
    attempt(&other, Some(folder.path()), &mut EndAfter::epochs(usize::MAX)).unwrap();
    // Whole, by the name of the wrong job, and made out to be its own.
    let place = |config: &JobConfig| folder.path().join(config.key().as_str());
    std::fs::rename(place(&other), place(&base())).unwrap();
    for generation in ["000001", "000002"] {
        let (manifest, sums) = ("checkpoint.json", "SHA256SUMS");
        let generation = place(&base()).join(generation);
        let text = std::fs::read_to_string(generation.join(manifest)).unwrap();
        std::fs::write(generation.join(manifest), text.replace(other.key().as_str(), base().key().as_str())).unwrap();
        let fresh = crate::checkpoint::sha256(&std::fs::read(generation.join(manifest)).unwrap());
        let listed = std::fs::read_to_string(generation.join(sums)).unwrap();
        let listed: Vec<String> =
            listed.lines().map(|line| if line.ends_with(manifest) { format!("{fresh}  {manifest}") } else { line.to_owned() }).collect();
        std::fs::write(generation.join(sums), listed.join("\n")).unwrap();
    }
    let mut anew = EndAfter::epochs(usize::MAX);
    attempt(&base(), Some(folder.path()), &mut anew).unwrap();
    assert_eq!(anew.heard, [1, 2]);
}

/// The backbone of `frozen` is what the same backbone comes to without branches: the branches leave no trace in it.
#[test]
fn a_frozen_backbone_is_the_one_that_was_trained_without_branches() {
    let plain = with(|config| {
        config.branches = None;
        config.recipe.epochs = 2;
    });
    let frozen = with(|config| {
        config.regime = Regime::Frozen { backbone_epochs: 2 };
        config.recipe.epochs = 2;
    });
    let train = |config: &JobConfig| bits(&attempt(config, None, &mut EndAfter::epochs(usize::MAX)).unwrap().model);
    let (plain, frozen) = (train(&plain), train(&frozen));
    assert!(frozen.len() > plain.len() && frozen[..plain.len()] == plain[..]);
}

#[test]
fn phases_follow_each_other() {
    let phases = |regime, has_branches| regime::phases(&with(|config| config.regime = regime), has_branches);
    let phase = |part, first_epoch, n_epochs| Phase { part, first_epoch, n_epochs };
    assert_eq!(phases(Regime::Joint, true), [phase(All, 0, 2)]);
    assert_eq!(phases(Regime::Frozen { backbone_epochs: 5 }, true), [phase(Backbone, 0, 5), phase(Branches, 5, 2)]);
    assert_eq!(phases(Regime::Mixed { backbone_epochs: 5 }, true), [phase(Backbone, 0, 5), phase(All, 5, 2)]);
    assert_eq!(phases(Regime::Frozen { backbone_epochs: 5 }, false), [phase(Backbone, 0, 5)]);
    let frozen = phases(Regime::Frozen { backbone_epochs: 5 }, true);
    assert_eq!([0, 4, 5, 6].map(|epoch| regime::phase_of(&frozen, epoch)), [0, 0, 1, 1]);
    let at_once = phases(Regime::Frozen { backbone_epochs: 0 }, true);
    assert_eq!(regime::phase_of(&at_once, 0), 1);
}
