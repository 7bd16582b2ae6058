//! The Burn side of `cargo xtask parity`: describes the networks that are compared, then shows what Burn makes of them.
//!
//! `parity describe FOLDER` writes `cases.json`. `parity run FOLDER` reads each case's weights and batch, and writes `got.safetensors`, whose names
//! are those of `expected.safetensors` (see `xtask/parity/reference.py`).

use std::error::Error;
use std::path::Path;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use offramp_domain::backbone;
use offramp_domain::job::{BranchConfig, BranchRule, Budget, ExitPlacement, Pattern};
use offramp_domain::network::{Network, assemble_parts};
use offramp_domain::shape::Shape;
use offramp_train::network::{MultiExit, NamedTensor, Weights, write};
use safetensors::SafeTensors;
use serde_json::json;

/// Backbone and side of the image. Sides are small, for the more values there are, the nearer one comes to a rectifier's corner; but the last maps have four
/// values at least where there are norms on them, which are ill-conditioned over few.
const CASES: [(&str, usize); 11] = [
    ("resnet20", 16),
    ("resnet20-b", 16),
    ("wrn-16-2", 16),
    ("vgg11-bn", 32),
    ("mobilenetv1", 24),
    ("mobilenetv2", 16),
    ("densenet-bc-40-12", 16),
    ("msdnet-4-2-2", 32),
    ("msdnet-5-1-1-linear", 32),
    ("resnet18-imagenet", 48),
    ("resnet50-imagenet", 48),
];

const N_CLASSES: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["describe", folder] => describe(Path::new(folder)),
        ["run", folder] => CASES.iter().try_for_each(|&(name, side)| run(&network(name, side)?, &Path::new(folder).join(name))),
        _ => Err("usage: parity describe|run FOLDER".into()),
    }
}

/// A backbone with its own exits where it has some, and else with a branch at every fraction of its MACs.
fn network(name: &str, side: usize) -> Result<Network, Box<dyn Error>> {
    let backbone = backbone::build(name, Shape::new(3, side, side), N_CLASSES)?;
    let (exits, pattern) = if backbone.own_exits.is_empty() {
        (ExitPlacement::Fractions(vec![0.2, 0.45, 0.7]), Pattern::Decreasing(0.5))
    } else {
        (ExitPlacement::Own, Pattern::Own)
    };
    let branches = BranchConfig { exits, pattern, budget: Budget::Share(0.3), rule: BranchRule::Width { depth: 2 } };
    Ok(assemble_parts(backbone, N_CLASSES, Some(&branches))?)
}

fn describe(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut cases = Vec::new();
    for (name, side) in CASES {
        let network = network(name, side)?;
        let exits: Vec<_> =
            network.branches.iter().map(|branch| json!({ "unit": branch.unit, "depth": branch.depth, "width": branch.width })).collect();
        cases.push(json!({ "name": name, "backbone": name, "input": [3, side, side], "n_classes": N_CLASSES, "exits": exits }));
    }
    std::fs::create_dir_all(folder)?;
    Ok(std::fs::write(folder.join("cases.json"), serde_json::to_vec_pretty(&cases)?)?)
}

fn run(network: &Network, folder: &Path) -> Result<(), Box<dyn Error>> {
    let device = Device::flex().autodiff();
    let mut model = MultiExit::new(network, 0, &device);
    model.load(network, &Weights::read(&folder.join("weights.safetensors"))?)?;
    let (images_bchw, labels_b) = batch(folder, &device)?;

    let mut found = Vec::new();
    let evaluated = model.valid().forward(images_bchw.clone().inner());
    found.extend(logits("evaluation", evaluated)?);

    let trained = model.forward(images_bchw.clone());
    found.extend(logits("training", trained.clone())?);
    let gradients = backward(trained, &labels_b);
    found.extend(renamed("gradient", model.named_gradients(network, &gradients)?));
    let statistics = model.tensors(network)?.into_iter().filter(|tensor| tensor.name.contains(".running_"));
    found.extend(renamed("statistics", statistics.collect()));

    let gradients = backward(model.forward_in_equilibrium(images_bchw), &labels_b);
    found.extend(renamed("equilibrium", model.named_gradients(network, &gradients)?));
    Ok(write(&folder.join("got.safetensors"), &found)?)
}

fn batch(folder: &Path, device: &Device) -> Result<(Tensor<4>, Tensor<1, Int>), Box<dyn Error>> {
    let bytes = std::fs::read(folder.join("batch.safetensors"))?;
    let file = SafeTensors::deserialize(&bytes)?;
    let (images, labels) = (file.tensor("images")?, file.tensor("labels")?);
    let pixels: Vec<f32> = images.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let classes: Vec<i64> = labels.data().as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
    let images_bchw = Tensor::from_data(TensorData::new(pixels, images.shape().to_vec()), device);
    Ok((images_bchw, Tensor::from_data(TensorData::new(classes, labels.shape().to_vec()), device)))
}

/// Gradients of the sum of all exits' cross-entropies.
fn backward(logits: Vec<Tensor<2>>, labels_b: &Tensor<1, Int>) -> Gradients {
    let cross_entropy = CrossEntropyLossConfig::new().init(&labels_b.device());
    let losses = logits.into_iter().map(|logits_bk| cross_entropy.forward(logits_bk, labels_b.clone()));
    losses.reduce(|sum, loss| sum + loss).expect("a network has a final exit").backward()
}

fn logits(mode: &str, logits: Vec<Tensor<2>>) -> Result<Vec<NamedTensor>, Box<dyn Error>> {
    let named = |(exit, logits_bk): (usize, Tensor<2>)| {
        let shape = logits_bk.dims().to_vec();
        Ok(NamedTensor { name: format!("{mode}.logits.{exit}"), shape, values: logits_bk.try_into_vec_as()? })
    };
    logits.into_iter().enumerate().map(named).collect()
}

fn renamed(prefix: &str, tensors: Vec<NamedTensor>) -> Vec<NamedTensor> {
    tensors.into_iter().map(|tensor| NamedTensor { name: format!("{prefix}.{}", tensor.name), ..tensor }).collect()
}
