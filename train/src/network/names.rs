//! The names of a network's tensors in the PyTorch world.
//!
//! Every family is named as a widely used public implementation names it, so that published weights load as they are; `docs/WEIGHTS.md` has the
//! table. A branch's layers are `branches.K.I`, K from the first side exit and I the layer's index, and what no public implementation has is named
//! in the same way by index.

use offramp_domain::backbone::{Backbone, JoinedMap, MapRef, Shortcut, Unit};
use offramp_domain::layer::Layer;
use offramp_domain::network::Network;

/// Names of the layers with weights, in the order of the modules: units, head, branches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) units: Vec<String>,
    /// Of the final classifier, be it the backbone's own or a branch in its place.
    pub(super) head: Vec<String>,
    pub(super) branches: Vec<String>,
}

impl Names {
    pub(super) fn of(network: &Network) -> Self {
        let backbone = &network.backbone;
        let (units, head) = match Family::of(&backbone.name) {
            Family::ResNet => (by_stages(backbone, "conv1", "bn1", resnet_unit), vec!["fc".to_owned()]),
            Family::WideResNet => (by_stages(backbone, "conv1", "", wide_unit), names(["bn1", "fc"])),
            Family::Vgg => vgg(backbone),
            Family::MobileNetV1 => (separable(backbone), vec!["linear".to_owned()]),
            Family::MobileNetV2 => mobilenet_v2(backbone),
            Family::MobileNetV2Projection => (projecting(backbone), names(["conv2", "bn2", "linear"])),
            Family::DenseNet => (dense(backbone), names(["features.norm5", "classifier"])),
            Family::MsdNet => (multi_scale(backbone), indexed("classifier", &backbone.head)),
            Family::Other => (by_index(backbone), indexed("head", &backbone.head)),
        };
        let head = network.final_branch.as_ref().map_or(head, |branch| indexed("branches.final", &branch.layers));
        let branches = network.branches.iter().enumerate();
        let branches = branches.flat_map(|(exit, branch)| indexed(&format!("branches.{exit}"), &branch.layers)).collect();
        Self { units, head, branches }
    }
}

/// Whose names a backbone takes.
enum Family {
    ResNet,
    WideResNet,
    Vgg,
    MobileNetV1,
    MobileNetV2,
    MobileNetV2Projection,
    DenseNet,
    MsdNet,
    Other,
}

impl Family {
    fn of(backbone: &str) -> Self {
        let starts = |prefix| backbone.starts_with(prefix);
        match backbone {
            "mobilenetv2-projection" => Self::MobileNetV2Projection,
            _ if starts("resnet") => Self::ResNet,
            _ if starts("wrn-") => Self::WideResNet,
            _ if starts("vgg") => Self::Vgg,
            _ if starts("mobilenetv1") => Self::MobileNetV1,
            _ if starts("mobilenetv2") => Self::MobileNetV2,
            _ if starts("densenet-bc-") => Self::DenseNet,
            _ if starts("msdnet-") => Self::MsdNet,
            _ => Self::Other,
        }
    }
}

fn names<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

/// Whether a layer has weights, and so a name.
const fn is_named(layer: Layer) -> bool {
    matches!(layer, Layer::Conv2d(_) | Layer::BatchNorm { .. } | Layer::Linear { .. })
}

/// `PREFIX.INDEX`, the index counting all layers.
fn indexed(prefix: &str, layers: &[Layer]) -> Vec<String> {
    let named = layers.iter().enumerate().filter(|(_, layer)| is_named(**layer));
    named.map(|(index, _)| format!("{prefix}.{index}")).collect()
}

/// `PREFIX.convN` and `PREFIX.NORMN`, each kind counted from 1.
fn numbered(prefix: &str, norm: &str, layers: &[Layer]) -> Vec<String> {
    let (mut n_convs, mut n_norms) = (0, 0);
    let mut name = |layer: &Layer| match layer {
        Layer::Conv2d(_) => {
            n_convs += 1;
            Some(format!("{prefix}.conv{n_convs}"))
        }
        Layer::BatchNorm { .. } => {
            n_norms += 1;
            Some(format!("{prefix}.{norm}{n_norms}"))
        }
        _ => None,
    };
    layers.iter().filter_map(&mut name).collect()
}

fn layers_of(unit: &Unit) -> &[Layer] {
    match unit {
        Unit::Sequence(layers) => layers,
        Unit::Residual { body, .. } => body,
        Unit::Joined(_) => &[],
    }
}

/// Stem, then units by stage, both counted from 1, and place in the stage, counted from 0.
fn by_stages(backbone: &Backbone, conv: &str, norm: &str, unit: impl Fn(usize, usize, &Unit) -> Vec<String>) -> Vec<String> {
    let mut found = names([conv, norm]);
    found.retain(|name| !name.is_empty());
    let mut first = 1;
    for (stage, &end) in backbone.stage_ends.iter().enumerate() {
        for index in first..=end {
            found.extend(unit(stage + 1, index - first, &backbone.units[index]));
        }
        first = end + 1;
    }
    found
}

fn resnet_unit(stage: usize, place: usize, unit: &Unit) -> Vec<String> {
    let prefix = format!("layer{stage}.{place}");
    let mut found = numbered(&prefix, "bn", layers_of(unit));
    if let Unit::Residual { shortcut: Shortcut::Projection(layers), .. } = unit {
        found.extend(indexed(&format!("{prefix}.downsample"), layers));
    }
    found
}

fn wide_unit(stage: usize, place: usize, unit: &Unit) -> Vec<String> {
    let prefix = format!("block{stage}.layer.{place}");
    let Unit::Residual { before, body, shortcut, .. } = unit else { return Vec::new() };
    let way: Vec<Layer> = before.iter().chain(body).copied().collect();
    let mut found = numbered(&prefix, "bn", &way);
    if matches!(shortcut, Shortcut::Projection(_)) {
        found.push(format!("{prefix}.convShortcut"));
    }
    found
}

/// One index over all layers but the classifier's, which has indices of its own, dropouts included, where it is more than one layer.
fn vgg(backbone: &Backbone) -> (Vec<String>, Vec<String>) {
    let features: Vec<Layer> = backbone.units.iter().flat_map(layers_of).copied().collect();
    let n_linear = backbone.head.iter().filter(|layer| is_named(**layer)).count();
    let head = match n_linear {
        1 => vec!["classifier".to_owned()],
        _ => (0..n_linear).map(|index| format!("classifier.{}", 3 * index)).collect(),
    };
    (indexed("features", &features), head)
}

fn separable(backbone: &Backbone) -> Vec<String> {
    let mut found = names(["conv1", "bn1"]);
    for (index, unit) in backbone.units[1..].iter().enumerate() {
        found.extend(numbered(&format!("layers.{index}"), "bn", layers_of(unit)));
    }
    found
}

fn projecting(backbone: &Backbone) -> Vec<String> {
    let mut found = names(["conv1", "bn1"]);
    for (index, unit) in backbone.units[1..].iter().enumerate() {
        let prefix = format!("layers.{index}");
        found.extend(numbered(&prefix, "bn", layers_of(unit)));
        if let Unit::Residual { shortcut: Shortcut::Projection(layers), .. } = unit {
            found.extend(indexed(&format!("{prefix}.shortcut"), layers));
        }
    }
    found
}

/// A convolution that a norm and a rectifier follow is a module of three; the last one, which is not rectified, stands beside its norm.
fn mobilenet_v2(backbone: &Backbone) -> (Vec<String>, Vec<String>) {
    let mut found = names(["features.0.0", "features.0.1"]);
    for (index, unit) in backbone.units.iter().enumerate().skip(1) {
        let n_rectified = layers_of(unit).len() / 3;
        for triple in 0..n_rectified {
            found.extend([0, 1].map(|part| format!("features.{index}.conv.{triple}.{part}")));
        }
        found.extend([0, 1].map(|part| format!("features.{index}.conv.{}", n_rectified + part)));
    }
    let last = backbone.units.len();
    (found, vec![format!("features.{last}.0"), format!("features.{last}.1"), "classifier.1".to_owned()])
}

fn dense(backbone: &Backbone) -> Vec<String> {
    let mut found = names(["features.conv0"]);
    let (mut block, mut place) = (1, 0);
    for unit in &backbone.units[1..] {
        match unit {
            Unit::Joined(maps) => {
                place += 1;
                let layers: Vec<Layer> = maps.iter().flat_map(|map| &map.parts).flat_map(|part| &part.layers).copied().collect();
                found.extend(numbered(&format!("features.denseblock{block}.denselayer{place}"), "norm", &layers));
            }
            Unit::Sequence(_) | Unit::Residual { .. } => {
                found.extend(["norm", "conv"].map(|part| format!("features.transition{block}.{part}")));
                (block, place) = (block + 1, 0);
            }
        }
    }
    found
}

/// `first.SCALE` for the stem, `layers.N.SCALE.down` from the finer map and `layers.N.SCALE.same` from the scale's own, `layers.N.SCALE` for a halving; scales
/// are counted from the finest that the layer puts out.
fn multi_scale(backbone: &Backbone) -> Vec<String> {
    let mut found = Vec::new();
    for (index, unit) in backbone.units.iter().enumerate() {
        let Unit::Joined(maps) = unit else { continue };
        for (scale, map) in maps.iter().enumerate() {
            let prefix = if index == 0 { format!("first.{scale}") } else { format!("layers.{}.{scale}", index - 1) };
            found.extend(scale_names(&prefix, map));
        }
    }
    found
}

fn scale_names(prefix: &str, map: &JoinedMap) -> Vec<String> {
    let made = || map.parts.iter().filter(|part| !part.layers.is_empty());
    let own = map.parts.iter().map(|part| part.from).max_by_key(|from| match from {
        MapRef::Input(index) | MapRef::Output(index) => *index,
    });
    // The stem and a halving make a map anew; a layer joins new parts to the map itself.
    if map.parts.len() == 1 {
        return made().flat_map(|part| indexed(prefix, &part.layers)).collect();
    }
    let suffix = |from| if Some(from) == own { "same" } else { "down" };
    made().flat_map(|part| indexed(&format!("{prefix}.{}", suffix(part.from)), &part.layers)).collect()
}

/// `units.N.I`, I counting all layers of the unit.
fn by_index(backbone: &Backbone) -> Vec<String> {
    let of_unit = |(index, unit): (usize, &Unit)| {
        let layers: Vec<Layer> = match unit {
            Unit::Sequence(layers) => layers.clone(),
            Unit::Residual { before, body, shortcut, after } => {
                let shortcut = if let Shortcut::Projection(layers) = shortcut { layers.as_slice() } else { &[] };
                [before.as_slice(), body, shortcut, after].concat()
            }
            Unit::Joined(maps) => maps.iter().flat_map(|map| &map.parts).flat_map(|part| part.layers.clone()).collect(),
        };
        indexed(&format!("units.{index}"), &layers)
    };
    backbone.units.iter().enumerate().flat_map(of_unit).collect()
}
