use std::collections::{BTreeMap, BTreeSet};

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use offramp_domain::backbone;
use offramp_domain::job::{BranchConfig, BranchRule, Budget, ExitPlacement, Pattern};
use offramp_domain::network::assemble_parts;
use offramp_domain::shape::Shape;
use tempfile::TempDir;

use super::*;

fn network(name: &str, n_classes: usize, has_branches: bool) -> Network {
    let branches =
        BranchConfig { exits: ExitPlacement::StageEnds, pattern: Pattern::Constant, budget: Budget::Levels(3), rule: BranchRule::Auto };
    let backbone = backbone::build(name, Shape::new(1, 8, 8), n_classes).unwrap();
    assemble_parts(backbone, n_classes, has_branches.then_some(&branches)).unwrap()
}

fn resnet8() -> Network {
    network("resnet8", 10, true)
}

fn model(network: &Network, seed: u64) -> MultiExit {
    MultiExit::new(network, seed, &Device::flex().autodiff())
}

fn named(network: &Network, model: &MultiExit) -> BTreeMap<String, NamedTensor> {
    model.tensors(network).unwrap().into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect()
}

/// A file with the tensors of a model of seed 1, changed.
fn file(folder: &TempDir, network: &Network, change: impl FnOnce(&mut BTreeMap<String, NamedTensor>)) -> Weights {
    let mut tensors = named(network, &model(network, 1));
    change(&mut tensors);
    let path = folder.path().join("weights.safetensors");
    write(&path, &tensors.into_values().collect::<Vec<_>>()).unwrap();
    Weights::read(&path).unwrap()
}

/// What loading a changed file says, without the folder's name; that the model is as before, whatever was wrong with the file.
fn refusal(change: impl FnOnce(&mut BTreeMap<String, NamedTensor>)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let network = resnet8();
    let weights = file(&folder, &network, change);
    let mut model = model(&network, 2);
    let before = named(&network, &model);
    let error = model.load_backbone(&network, &weights).unwrap_err();
    assert_eq!(named(&network, &model), before);
    error.to_string().replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn every_tensor_comes_back_and_still_learns() {
    let folder = tempfile::tempdir().unwrap();
    let network = resnet8();
    let saved = model(&network, 1);
    // A step of training moves the running statistics from where they start.
    saved.forward(Tensor::ones([2, 1, 8, 8], &Device::flex().autodiff()));
    let path = folder.path().join("all.safetensors");
    saved.save(&network, &path).unwrap();

    let mut loaded = model(&network, 2);
    loaded.load(&network, &Weights::read(&path).unwrap()).unwrap();
    assert_eq!(named(&network, &loaded), named(&network, &saved));
    let x_bchw = Tensor::<4>::ones([2, 1, 8, 8], &Device::flex());
    let logits = |model: &MultiExit| -> Vec<Vec<f32>> {
        model.valid().forward(x_bchw.clone()).into_iter().map(|logits_bk| logits_bk.try_into_vec_as().unwrap()).collect()
    };
    assert_eq!(logits(&loaded), logits(&saved));

    let loss =
        loaded.forward(Tensor::ones([2, 1, 8, 8], &Device::flex().autodiff())).into_iter().map(Tensor::sum).reduce(|sum, loss| sum + loss);
    let reached = loaded.named_gradients(&network, &loss.unwrap().backward()).unwrap();
    let learned: Vec<&str> = reached.iter().map(|tensor| tensor.name.as_str()).collect();
    let all = named(&network, &loaded);
    assert_eq!(learned.len(), all.keys().filter(|name| !name.contains(".running_")).count());
    assert!(reached.iter().all(|tensor| tensor.shape == all[&tensor.name].shape));
}

#[test]
fn a_backbone_is_loaded_and_the_branches_stay() {
    let folder = tempfile::tempdir().unwrap();
    let network = resnet8();
    let weights = file(&folder, &network, |_| {});
    let mut model = model(&network, 2);
    let before = named(&network, &model);
    assert_eq!(model.load_backbone(&network, &weights).unwrap(), ClassifierOrigin::File);
    let source = named(&network, &self::model(&network, 1));
    for (name, tensor) in named(&network, &model) {
        let expected = if name.starts_with("branches.") { &before } else { &source };
        assert_eq!(tensor, expected[&name]);
    }
}

#[test]
fn a_file_without_the_last_linear_layer_leaves_it_fresh() {
    let folder = tempfile::tempdir().unwrap();
    let network = resnet8();
    let weights = file(&folder, &network, |tensors| tensors.retain(|name, _| !name.starts_with("fc.")));
    let mut model = model(&network, 2);
    let before = named(&network, &model);
    assert_eq!(model.load_backbone(&network, &weights).unwrap(), ClassifierOrigin::Fresh);
    let after = named(&network, &model);
    assert_eq!(after["fc.weight"], before["fc.weight"]);
    assert_ne!(after["conv1.weight"], before["conv1.weight"]);
}

#[test]
fn a_branch_in_the_final_classifiers_place_stays() {
    let folder = tempfile::tempdir().unwrap();
    let plain = network("resnet8", 10, false);
    let weights = file(&folder, &plain, |_| {});
    let branches = BranchConfig {
        exits: ExitPlacement::StageEnds,
        pattern: Pattern::FinalOnly,
        budget: Budget::Share(0.5),
        rule: BranchRule::Width { depth: 1 },
    };
    let network = assemble_parts(plain.backbone.clone(), 10, Some(&branches)).unwrap();
    let mut model = model(&network, 2);
    let before = named(&network, &model);
    assert_eq!(model.load_backbone(&network, &weights).unwrap(), ClassifierOrigin::Fresh);
    let source = named(&plain, &self::model(&plain, 1));
    let after = named(&network, &model);
    assert!(after.keys().any(|name| name.starts_with("branches.final.")));
    for (name, tensor) in after {
        let expected = if name.starts_with("branches.") { &before } else { &source };
        assert_eq!(tensor, expected[&name]);
    }
}

#[test]
fn linear_layers_are_laid_out_with_a_row_for_every_output() {
    let folder = tempfile::tempdir().unwrap();
    let network = network("resnet8", 2, false);
    let weights = file(&folder, &network, |tensors| {
        let weight = tensors.get_mut("fc.weight").unwrap();
        assert_eq!(weight.shape, [2, 64]);
        // The first class adds up all features, the second one none.
        weight.values = [[1.0; 64], [0.0; 64]].concat();
        tensors.get_mut("fc.bias").unwrap().values = vec![0.0, 7.0];
    });
    let mut model = model(&network, 2);
    model.load(&network, &weights).unwrap();
    let mut walk = model.walk(Tensor::ones([1, 1, 8, 8], &Device::flex().autodiff()));
    let logits: Vec<f32> = walk.next_exit().unwrap().try_into_vec_as().unwrap();
    let features: Vec<f32> = walk.features().at_exit().clone().mean_dims(&[2, 3]).try_into_vec_as().unwrap();
    assert!((logits[0] - features.iter().sum::<f32>()).abs() < 1e-3 && logits[0] > 1e-2, "{logits:?}");
    assert_eq!(logits[1], 7.0);
}

/// Half of 3 and minus a quarter in every type, as IEEE 754 (and bfloat16, its upper half) writes them.
#[test]
fn numbers_of_every_width_are_read() {
    let check = |dtype, bytes: Vec<u8>| {
        let view = TensorView::new(dtype, vec![2], &bytes).unwrap();
        assert_eq!(numbers(&view), Some(vec![1.5, -0.25]), "{dtype}");
    };
    check(Dtype::F32, [0x3fc0_0000_u32, 0xbe80_0000].iter().flat_map(|bits| bits.to_le_bytes()).collect());
    check(Dtype::F64, [0x3ff8_0000_0000_0000_u64, 0xbfd0_0000_0000_0000].iter().flat_map(|bits| bits.to_le_bytes()).collect());
    check(Dtype::F16, [0x3e00_u16, 0xb400].iter().flat_map(|bits| bits.to_le_bytes()).collect());
    check(Dtype::BF16, [0x3fc0_u16, 0xbe80].iter().flat_map(|bits| bits.to_le_bytes()).collect());
    assert_eq!(numbers(&TensorView::new(Dtype::I32, vec![1], &[0; 4]).unwrap()), None);
}

#[test]
fn counters_of_pytorch_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let network = resnet8();
    let weights = file(&folder, &network, |tensors| {
        let name = "bn1.num_batches_tracked".to_owned();
        tensors.insert(name.clone(), NamedTensor { name, shape: Vec::new(), values: vec![3.0] });
    });
    model(&network, 2).load(&network, &weights).unwrap();
}

#[test]
fn what_does_not_fit_is_named_and_nothing_is_set() {
    assert_eq!(refusal(|tensors| drop(tensors.remove("layer2.0.conv1.weight"))), "`weights.safetensors` lacks `layer2.0.conv1.weight`");
    assert_eq!(
        refusal(|tensors| tensors.retain(|name, _| !name.starts_with("layer2.0."))),
        "`weights.safetensors` lacks `layer2.0.conv1.weight`, `layer2.0.bn1.weight`, `layer2.0.bn1.bias`, `layer2.0.bn1.running_mean`, \
         `layer2.0.bn1.running_var` and 5 more tensors"
    );
    assert_eq!(refusal(|tensors| drop(tensors.remove("fc.bias"))), "`weights.safetensors` lacks `fc.bias`");
    let unexpected = |tensors: &mut BTreeMap<String, NamedTensor>| {
        let name = "layer4.0.conv1.weight".to_owned();
        tensors.insert(name.clone(), NamedTensor { name, shape: vec![1], values: vec![0.0] });
    };
    assert_eq!(refusal(unexpected), "`weights.safetensors` has `layer4.0.conv1.weight`, which the network has not");
    let other_classes = |tensors: &mut BTreeMap<String, NamedTensor>| {
        let name = "fc.weight".to_owned();
        tensors.insert(name.clone(), NamedTensor { name, shape: vec![100, 64], values: vec![0.0; 6_400] });
    };
    assert_eq!(refusal(other_classes), "`fc.weight` in `weights.safetensors` has the shape [100, 64], not [10, 64]");
    let diverged = |tensors: &mut BTreeMap<String, NamedTensor>| tensors.get_mut("bn1.bias").unwrap().values[3] = f32::NAN;
    assert_eq!(refusal(diverged), "`bn1.bias` in `weights.safetensors` holds a number that is not finite");
}

#[test]
fn files_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let network = resnet8();
    let whole = file(&folder, &network, |_| {});
    let mut cut = whole.clone();
    cut.bytes.truncate(whole.bytes.len() - 1);
    assert!(matches!(model(&network, 2).load(&network, &cut), Err(WeightsError::Format { .. })));
    cut.bytes = b"not weights at all".to_vec();
    assert!(matches!(model(&network, 2).load(&network, &cut), Err(WeightsError::Format { .. })));
    assert!(matches!(Weights::read(&folder.path().join("none")), Err(WeightsError::Read { .. })));
}

/// The sum of the three bytes `abc` is FIPS 180-2's first example.
#[test]
fn a_checksum_tells_files_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("abc");
    std::fs::write(&path, "abc").unwrap();
    let weights = Weights::read(&path).unwrap();
    let right = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    weights.check(right).unwrap();
    weights.check(&right.to_uppercase()).unwrap();
    let error = weights.check(&right.replace('b', "c")).unwrap_err().to_string();
    assert!(error.contains(right) && error.contains("ca7816"), "{error}");
}

/// Names of one unit of every family, read off the public implementations that `docs/WEIGHTS.md` names.
#[test]
fn names_are_those_of_public_implementations() {
    let check = |name: &str, side: usize, expected: &[&str]| {
        let backbone = backbone::build(name, Shape::new(3, side, side), 10).unwrap();
        let Names { units, head, .. } = Names::of(&assemble_parts(backbone, 10, None).unwrap());
        let all: BTreeSet<String> = units.into_iter().chain(head).collect();
        for name in expected {
            assert!(all.contains(*name), "{name} is none of {all:?}");
        }
    };
    check("resnet20-b", 32, &["conv1", "bn1", "layer1.0.conv1", "layer1.2.bn2", "layer2.0.downsample.0", "layer2.0.downsample.1", "fc"]);
    check("resnet50-imagenet", 64, &["bn1", "layer1.0.conv3", "layer1.0.downsample.1", "layer3.5.bn3", "layer4.2.conv2", "fc"]);
    check("wrn-16-4", 32, &["conv1", "block1.layer.0.bn1", "block1.layer.0.convShortcut", "block3.layer.1.conv2", "bn1", "fc"]);
    check("vgg11-bn", 32, &["features.0", "features.1", "features.4", "features.26", "classifier"]);
    check("vgg16-bn-imagenet", 32, &["features.0", "features.40", "features.41", "classifier.0", "classifier.3", "classifier.6"]);
    check("mobilenetv1", 32, &["conv1", "bn1", "layers.0.conv1", "layers.12.bn2", "linear"]);
    let v2 = [
        "features.0.0",
        "features.1.conv.0.1",
        "features.1.conv.2",
        "features.2.conv.3",
        "features.17.conv.1.0",
        "features.18.1",
        "classifier.1",
    ];
    check("mobilenetv2", 32, &v2);
    let dense = [
        "features.conv0",
        "features.denseblock1.denselayer1.norm1",
        "features.denseblock3.denselayer16.conv2",
        "features.transition2.norm",
    ];
    check("densenet-bc-100-12", 32, &dense);
}

#[test]
fn every_layer_with_weights_has_a_name_of_its_own() {
    for name in backbone::names() {
        let backbone = backbone::build(name, Shape::new(3, 128, 128), 10).unwrap();
        let mut n_layers = 0;
        let mut maps = vec![backbone.input];
        for unit in &backbone.units {
            maps = unit.visit(&maps, &mut |layer, _| n_layers += usize::from(layer.params() > 0));
        }
        n_layers += backbone.head.iter().filter(|layer| layer.params() > 0).count();
        let Names { units, head, .. } = Names::of(&assemble_parts(backbone, 10, None).unwrap());
        assert_eq!(units.len() + head.len(), n_layers, "{name}");
        assert_eq!(units.into_iter().chain(head).collect::<BTreeSet<_>>().len(), n_layers, "{name}");
    }
}
