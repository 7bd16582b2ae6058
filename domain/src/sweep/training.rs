//! How the values that decide on training are written, and which of them make sense.

use super::reader::{Fields, Reader, Value};
use super::values::{numbers, one_choice};
use crate::job::{Augment, Clip, Distill, EnsembleWeights, ExitWeights, Optimizer, Precision, Pretrained, Regime, Schedule};

/// Longer training than anybody's, and short enough to catch a slip of the keyboard.
const MAX_EPOCHS: i64 = 10_000;
const MAX_BATCH_SIZE: i64 = 65_536;
/// The largest side of an image that any backbone takes.
const MAX_CUTOUT: i64 = 224;

/// Recipes as in most published training of small residual networks: SGD, momentum 0.9, Nesterov's variant, weight decay 5e-4.
const DEFAULT_MOMENTUM: f64 = 0.9;
const DEFAULT_NESTEROV: bool = true;
const DEFAULT_WEIGHT_DECAY: f64 = 5e-4;

/// As Loshchilov and Hutter have them, and every library since.
const DEFAULT_BETAS: [f64; 2] = [0.9, 0.999];
const DEFAULT_EPSILON: f64 = 1e-8;
const DEFAULT_ADAMW_DECAY: f64 = 1e-2;

/// As in PyTorch's `OneCycleLR`: a third of the way up from a 25th, and down to a 250,000th.
const DEFAULT_WARMUP: f64 = 0.3;
const DEFAULT_START_DIVISOR: f64 = 25.0;
const DEFAULT_END_DIVISOR: f64 = 250_000.0;

/// Hinton, Vinyals, Dean (arXiv 1503.02531) soften with 2 to 5 for networks of this size, and half of the loss is the even choice.
const DEFAULT_TEMPERATURE: f64 = 3.0;
const DEFAULT_LAMBDA: f64 = 0.5;

const OPTIMIZER_FORMS: &str = "`{ sgd = { lr = 0.1 } }` or `{ adamw = { lr = 0.001 } }`";
const SCHEDULE_FORMS: &str = "`\"constant\"`, `\"cosine\"`, `{ step = { milestones = [100, 150], gamma = 0.1 } }`, \
                              `{ warmup = { epochs = 5, then = \"cosine\" } }` or `\"one-cycle\"`";
const REGIME_FORMS: &str = "`\"joint\"`, `{ frozen = 100 }` or `{ mixed = 100 }`, the number being the backbone's own epochs before";
const DISTILL_FORMS: &str =
    "`\"none\"`, `\"last\"`, `\"ensemble\"` or `{ ensemble = { temperature = 3, lambda = 0.5, weights = \"learned\" } }`";
const EXIT_WEIGHTS_FORMS: &str = "`\"equal\"`, `\"linear\"`, `{ ramp = 0.5 }` or `{ list = [0.5, 0.5, 1.0] }`";
const CLIP_FORMS: &str = "`\"none\"`, `{ norm = 1.0 }` or `{ value = 0.5 }`";
const PRETRAINED_FORMS: &str = "`\"none\"` or `{ file = \"resnet56.safetensors\", sha256 = \"…\" }`";

pub(super) fn epochs(reader: &mut Reader, value: &Value) -> Option<u32> {
    reader.integer(value, "epochs", 1..=MAX_EPOCHS)
}

pub(super) fn batch_size(reader: &mut Reader, value: &Value) -> Option<u32> {
    reader.integer(value, "batch_size", 1..=MAX_BATCH_SIZE)
}

pub(super) fn augment(reader: &mut Reader, value: &Value) -> Option<Augment> {
    let choices = [
        ("none", Augment::None),
        ("crop", Augment::Crop),
        ("flip", Augment::Flip),
        ("crop-flip", Augment::CropFlip),
        ("crop-flip-reflect", Augment::CropFlipReflect),
    ];
    reader.choice(value, "augment", &choices)
}

/// An optimiser, e.g. `{ sgd = { lr = 0.1 } }`.
pub(super) fn optimizer(reader: &mut Reader, value: &Value) -> Option<Optimizer> {
    if value.get_ref().as_table().is_none() {
        return reader.refuse(value, "optimizer", OPTIMIZER_FORMS, None);
    }
    match one_choice(reader, value, "optimizer", &["sgd", "adamw"], OPTIMIZER_FORMS)? {
        ("sgd", settings) => sgd(reader, settings),
        (_, settings) => adamw(reader, settings),
    }
}

fn sgd(reader: &mut Reader, value: &Value) -> Option<Optimizer> {
    let sgd = Fields::open(reader, value, "`sgd`", &["lr", "momentum", "nesterov", "weight_decay"])?;
    let lr = rate(reader, &sgd, "lr = 0.1");
    let momentum = below_one(reader, &sgd, "momentum", DEFAULT_MOMENTUM);
    let nesterov = sgd.optional("nesterov").map_or(Some(DEFAULT_NESTEROV), |value| reader.boolean(value, "nesterov"));
    let weight_decay = below_one(reader, &sgd, "weight_decay", DEFAULT_WEIGHT_DECAY);
    Some(Optimizer::Sgd { lr: lr?, momentum: momentum?, nesterov: nesterov?, weight_decay: weight_decay? })
}

fn adamw(reader: &mut Reader, value: &Value) -> Option<Optimizer> {
    let adamw = Fields::open(reader, value, "`adamw`", &["lr", "beta1", "beta2", "epsilon", "weight_decay"])?;
    let lr = rate(reader, &adamw, "lr = 0.001");
    let beta1 = below_one(reader, &adamw, "beta1", DEFAULT_BETAS[0]);
    let beta2 = below_one(reader, &adamw, "beta2", DEFAULT_BETAS[1]);
    let epsilon = above_zero(reader, &adamw, "epsilon", DEFAULT_EPSILON);
    let weight_decay = below_one(reader, &adamw, "weight_decay", DEFAULT_ADAMW_DECAY);
    Some(Optimizer::AdamW { lr: lr?, beta1: beta1?, beta2: beta2?, epsilon: epsilon?, weight_decay: weight_decay? })
}

fn rate(reader: &mut Reader, fields: &Fields, example: &str) -> Option<f64> {
    fields.required(reader, "lr", example).and_then(|lr| reader.number(lr, "lr", "a number above 0", |lr| lr > 0.0))
}

fn below_one(reader: &mut Reader, fields: &Fields, key: &str, default: f64) -> Option<f64> {
    fields
        .optional(key)
        .map_or(Some(default), |value| reader.number(value, key, "a number from 0 to below 1", |number| (0.0..1.0).contains(&number)))
}

fn above_zero(reader: &mut Reader, fields: &Fields, key: &str, default: f64) -> Option<f64> {
    fields.optional(key).map_or(Some(default), |value| reader.number(value, key, "a number above 0", |number| number > 0.0))
}

/// A learning-rate schedule.
pub(super) fn schedule(reader: &mut Reader, value: &Value) -> Option<Schedule> {
    if value.get_ref().is_str() {
        let plain_cycle =
            Schedule::OneCycle { warmup: DEFAULT_WARMUP, start_divisor: DEFAULT_START_DIVISOR, end_divisor: DEFAULT_END_DIVISOR };
        let choices = [("constant", Schedule::Constant), ("cosine", Schedule::Cosine), ("one-cycle", plain_cycle)];
        return match value.get_ref().as_str() {
            Some("step" | "warmup") => reader.refuse(value, "schedule", SCHEDULE_FORMS, None),
            _ => reader.choice(value, "schedule", &choices),
        };
    }
    if value.get_ref().as_table().is_none() {
        return reader.refuse(value, "schedule", SCHEDULE_FORMS, None);
    }
    match one_choice(reader, value, "schedule", &["step", "warmup", "one-cycle"], SCHEDULE_FORMS)? {
        ("step", settings) => step(reader, settings),
        ("warmup", settings) => warmup(reader, settings),
        (_, settings) => one_cycle(reader, settings),
    }
}

fn step(reader: &mut Reader, value: &Value) -> Option<Schedule> {
    let step = Fields::open(reader, value, "`step`", &["milestones", "gamma"])?;
    let milestones = step.required(reader, "milestones", "milestones = [100, 150]").and_then(|value| milestones(reader, value));
    let gamma = step
        .required(reader, "gamma", "gamma = 0.1")
        .and_then(|gamma| reader.number(gamma, "gamma", "a number above 0 and at most 1", |gamma| gamma > 0.0 && gamma <= 1.0));
    Some(Schedule::Step { milestones: milestones?, gamma: gamma? })
}

fn milestones(reader: &mut Reader, value: &Value) -> Option<Vec<u32>> {
    let wanted = "rising epochs, counted from 0, such as `[100, 150]`";
    let epochs = reader.list(value, "milestones", wanted)?;
    let epochs: Vec<Option<u32>> = epochs.iter().map(|epoch| reader.integer(epoch, "milestones", 1..=MAX_EPOCHS)).collect();
    let epochs: Vec<u32> = epochs.into_iter().collect::<Option<_>>()?;
    if epochs.is_sorted_by(|a, b| a < b) { Some(epochs) } else { reader.refuse(value, "milestones", wanted, None) }
}

fn warmup(reader: &mut Reader, value: &Value) -> Option<Schedule> {
    let warmup = Fields::open(reader, value, "`warmup`", &["epochs", "then"])?;
    let epochs = warmup.required(reader, "epochs", "epochs = 5").and_then(|epochs| reader.integer(epochs, "epochs", 1..=MAX_EPOCHS));
    let after = warmup.required(reader, "then", "then = \"cosine\"");
    let then = after.and_then(|value| schedule(reader, value));
    if let (Some(Schedule::Warmup { .. } | Schedule::OneCycle { .. }), Some(value)) = (&then, after) {
        return reader.refuse(value, "then", "`\"constant\"`, `\"cosine\"` or a `step`", None);
    }
    Some(Schedule::Warmup { epochs: epochs?, then: Box::new(then?) })
}

fn one_cycle(reader: &mut Reader, value: &Value) -> Option<Schedule> {
    let cycle = Fields::open(reader, value, "`one-cycle`", &["warmup", "start_divisor", "end_divisor"])?;
    let warmup = cycle.optional("warmup").map_or(Some(DEFAULT_WARMUP), |value| {
        reader.number(value, "warmup", "a share of the steps above 0 and below 1", |share| share > 0.0 && share < 1.0)
    });
    let start_divisor = at_least_one(reader, &cycle, "start_divisor", DEFAULT_START_DIVISOR);
    let end_divisor = at_least_one(reader, &cycle, "end_divisor", DEFAULT_END_DIVISOR);
    Some(Schedule::OneCycle { warmup: warmup?, start_divisor: start_divisor?, end_divisor: end_divisor? })
}

fn at_least_one(reader: &mut Reader, fields: &Fields, key: &str, default: f64) -> Option<f64> {
    fields.optional(key).map_or(Some(default), |value| reader.number(value, key, "a number from 1 up", |number| number >= 1.0))
}

/// In which order backbone and branches are trained.
pub(super) fn regime(reader: &mut Reader, value: &Value) -> Option<Regime> {
    if value.get_ref().is_str() {
        return match value.get_ref().as_str() {
            Some("frozen" | "mixed") => reader.refuse(value, "regime", REGIME_FORMS, None),
            _ => reader.choice(value, "regime", &[("joint", Regime::Joint)]),
        };
    }
    if value.get_ref().as_table().is_none() {
        return reader.refuse(value, "regime", REGIME_FORMS, None);
    }
    let (name, epochs) = one_choice(reader, value, "regime", &["frozen", "mixed"], REGIME_FORMS)?;
    let backbone_epochs = reader.integer(epochs, name, 1..=MAX_EPOCHS)?;
    Some(if name == "frozen" { Regime::Frozen { backbone_epochs } } else { Regime::Mixed { backbone_epochs } })
}

/// What the exits learn from besides the labels.
pub(super) fn distill(reader: &mut Reader, value: &Value) -> Option<Distill> {
    let last = |temperature, lambda| Distill::Last { temperature, lambda };
    let ensemble = |temperature, lambda, weights| Distill::Ensemble { temperature, lambda, weights };
    if value.get_ref().is_str() {
        let choices = [
            ("none", Distill::None),
            ("last", last(DEFAULT_TEMPERATURE, DEFAULT_LAMBDA)),
            ("ensemble", ensemble(DEFAULT_TEMPERATURE, DEFAULT_LAMBDA, EnsembleWeights::Learned)),
        ];
        return reader.choice(value, "distill", &choices);
    }
    if value.get_ref().as_table().is_none() {
        return reader.refuse(value, "distill", DISTILL_FORMS, None);
    }
    let (name, settings) = one_choice(reader, value, "distill", &["last", "ensemble"], DISTILL_FORMS)?;
    let known: &[&'static str] = if name == "last" { &["temperature", "lambda"] } else { &["temperature", "lambda", "weights"] };
    let fields = Fields::open(reader, settings, format!("`{name}`"), known)?;
    let temperature = above_zero(reader, &fields, "temperature", DEFAULT_TEMPERATURE);
    let lambda = fields.optional("lambda").map_or(Some(DEFAULT_LAMBDA), |value| {
        reader.number(value, "lambda", "a weight above 0 and at most 1", |lambda| lambda > 0.0 && lambda <= 1.0)
    });
    let weights = fields.optional("weights").map_or(Some(EnsembleWeights::Learned), |value| {
        reader.choice(value, "weights", &[("learned", EnsembleWeights::Learned), ("calibration", EnsembleWeights::Calibration)])
    });
    Some(if name == "last" { last(temperature?, lambda?) } else { ensemble(temperature?, lambda?, weights?) })
}

/// How much each exit's loss counts.
pub(super) fn exit_weights(reader: &mut Reader, value: &Value) -> Option<ExitWeights> {
    if value.get_ref().is_str() {
        return match value.get_ref().as_str() {
            Some("ramp" | "list") => reader.refuse(value, "exit_weights", EXIT_WEIGHTS_FORMS, None),
            _ => reader.choice(value, "exit_weights", &[("equal", ExitWeights::Equal), ("linear", ExitWeights::Linear)]),
        };
    }
    if value.get_ref().as_table().is_none() {
        return reader.refuse(value, "exit_weights", EXIT_WEIGHTS_FORMS, None);
    }
    match one_choice(reader, value, "exit_weights", &["ramp", "list"], EXIT_WEIGHTS_FORMS)? {
        ("ramp", max) => reader.number(max, "ramp", "a number above 0", |max| max > 0.0).map(|max| ExitWeights::Ramp { max }),
        (_, list) => {
            let wanted = "numbers from 0 up, one an exit, side exits first, at least one above 0";
            let weights = numbers(reader, list, "list", wanted, |weight| weight >= 0.0)?;
            if weights.iter().sum::<f64>() > 0.0 { Some(ExitWeights::List(weights)) } else { reader.refuse(list, "list", wanted, None) }
        }
    }
}

pub(super) fn gradient_equilibrium(reader: &mut Reader, value: &Value) -> Option<bool> {
    reader.boolean(value, "gradient_equilibrium")
}

/// Weights that the backbone starts from; the inner `None` is `"none"`.
#[expect(clippy::option_option, reason = "the outer one is whether the value could be read, as in every reader here")]
pub(super) fn pretrained(reader: &mut Reader, value: &Value) -> Option<Option<Pretrained>> {
    if value.get_ref().as_table().is_none() {
        return none(reader, value, "pretrained", PRETRAINED_FORMS);
    }
    let fields = Fields::open(reader, value, "`pretrained`", &["file", "sha256"])?;
    let file = fields.required(reader, "file", "file = \"resnet56.safetensors\"").and_then(|file| match file.get_ref().as_str() {
        Some(path) if !path.is_empty() => Some(path.to_owned()),
        _ => reader.refuse(file, "file", "a path, from the worker's data folder where it is relative", None),
    });
    let sha256 = fields.required(reader, "sha256", "sha256 = \"…\"").and_then(|hash| match hash.get_ref().as_str() {
        Some(digits) if digits.len() == 64 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) => {
            Some(digits.to_owned())
        }
        _ => reader.refuse(hash, "sha256", "64 lower-case hexadecimal digits, as `sha256sum` prints them", None),
    });
    fields.all_known.then_some(Some(Pretrained { file: file?, sha256: sha256? }))
}

/// Side of the square that is blanked.
#[expect(clippy::option_option, reason = "the outer one is whether the value could be read, as in every reader here")]
pub(super) fn cutout(reader: &mut Reader, value: &Value) -> Option<Option<u32>> {
    if value.get_ref().is_str() {
        return none(reader, value, "cutout", "`\"none\"` or a side in pixels");
    }
    reader.integer(value, "cutout", 1..=MAX_CUTOUT).map(Some)
}

#[expect(clippy::option_option, reason = "the outer one is whether the value could be read, as in every reader here")]
pub(super) fn mixup(reader: &mut Reader, value: &Value) -> Option<Option<f64>> {
    let wanted = "`\"none\"` or a number above 0 and at most 10, the a of Beta(a, a)";
    if value.get_ref().is_str() {
        return none(reader, value, "mixup", wanted);
    }
    reader.number(value, "mixup", wanted, |alpha| alpha > 0.0 && alpha <= 10.0).map(Some)
}

pub(super) fn label_smoothing(reader: &mut Reader, value: &Value) -> Option<f64> {
    reader.number(value, "label_smoothing", "a number from 0 to below 1", |share| (0.0..1.0).contains(&share))
}

#[expect(clippy::option_option, reason = "the outer one is whether the value could be read, as in every reader here")]
pub(super) fn clip(reader: &mut Reader, value: &Value) -> Option<Option<Clip>> {
    if value.get_ref().as_table().is_none() {
        return none(reader, value, "clip", CLIP_FORMS);
    }
    let (name, bound) = one_choice(reader, value, "clip", &["norm", "value"], CLIP_FORMS)?;
    let bound = reader.number(bound, name, "a number above 0", |bound| bound > 0.0)?;
    Some(Some(if name == "norm" { Clip::Norm(bound) } else { Clip::Value(bound) }))
}

pub(super) fn decay_norm(reader: &mut Reader, value: &Value) -> Option<bool> {
    reader.boolean(value, "decay_norm")
}

#[expect(clippy::option_option, reason = "the outer one is whether the value could be read, as in every reader here")]
pub(super) fn ema(reader: &mut Reader, value: &Value) -> Option<Option<f64>> {
    let wanted = "`\"none\"` or a decay above 0 and below 1, such as `0.999`";
    if value.get_ref().is_str() {
        return none(reader, value, "ema", wanted);
    }
    reader.number(value, "ema", wanted, |decay| decay > 0.0 && decay < 1.0).map(Some)
}

pub(super) fn precision(reader: &mut Reader, value: &Value) -> Option<Precision> {
    reader.choice(value, "precision", &[("f32", Precision::F32), ("bf16", Precision::Bf16)])
}

/// The name `"none"`, or a problem.
#[expect(clippy::option_option, reason = "the outer one is whether the value could be read, as in every reader here")]
fn none<T>(reader: &mut Reader, value: &Value, what: &str, forms: &str) -> Option<Option<T>> {
    if value.get_ref().as_str() == Some("none") { Some(None) } else { reader.refuse(value, what, forms, None) }
}
