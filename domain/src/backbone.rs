//! Backbones as data: units with shapes, between any two of which an exit can hang.

use crate::layer::{Layer, Summary, summarise};
use crate::shape::Shape;

/// A network without branches.
///
/// # Invariants
/// Between two units travels a list of maps, the finest first: one map in every network but a multi-scale one. An exit that follows a unit reads
/// the last, coarsest one, and so does the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backbone {
    /// Its canonical name.
    pub name: String,
    /// Shape of one input.
    pub input: Shape,
    /// The units, the stem first. An exit may follow any of them.
    pub units: Vec<Unit>,
    /// Indices of the units that end a stage, rising; never empty, and the last one is the last unit.
    pub stage_ends: Vec<usize>,
    /// The final classifier: the last exit.
    pub head: Vec<Layer>,
    /// The side exits that the network was published with, first to last, for those that were published as multi-exit networks; empty for all others.
    pub own_exits: Vec<OwnExit>,
}

/// A side exit that belongs to a backbone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnExit {
    /// Index of the unit whose coarsest map it reads.
    pub unit: usize,
    /// Its layers, the last of which is the classifier.
    pub layers: Vec<Layer>,
}

/// The smallest piece of a backbone that an exit can follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// Layers one after another, from the coarsest map to one map.
    Sequence(Vec<Layer>),
    /// `x' = before(x)`, then `after(body(x') + shortcut(x'))`, from the coarsest map to one map.
    ///
    /// Post-activation units (He et al.) have nothing before and the rectifier after; pre-activation units that change the shape share the
    /// norm and rectifier before; inverted residuals have neither.
    Residual {
        /// What both ways read the input through; empty for the input itself.
        before: Vec<Layer>,
        /// The residual function.
        body: Vec<Layer>,
        /// The other way to the sum.
        shortcut: Shortcut,
        /// What the sum goes through.
        after: Vec<Layer>,
    },
    /// Maps that are joined of parts, the finest map first: densely connected layers put out one map, multi-scale layers several.
    Joined(Vec<JoinedMap>),
}

/// One map of a [`Unit::Joined`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMap {
    /// Its parts, concatenated along the channels in this order; never empty, and all of the same height and width.
    pub parts: Vec<Part>,
}

/// A part of a joined map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The map that it is made from.
    pub from: MapRef,
    /// The layers that make it; empty for the map as it is.
    pub layers: Vec<Layer>,
}

/// Which map a part is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapRef {
    /// A map that the unit is given, by index.
    Input(usize),
    /// A map that the same unit has put out before, by index.
    Output(usize),
}

/// The way round a residual unit's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shortcut {
    /// The input itself.
    Identity,
    /// Every `stride`-th position, `pad` zero channels before and after (He et al. 2016, option A): no parameters, no MACs.
    PadSubsample {
        /// Keep every `stride`-th row and column.
        stride: usize,
        /// Zero channels put before, and as many after.
        pad: usize,
    },
    /// Layers of its own (option B: 1x1 convolution and batch norm).
    Projection(Vec<Layer>),
}

/// What a unit comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitSummary {
    /// Shapes of the maps that it puts out, the finest first.
    pub maps: Vec<Shape>,
    /// Strict MACs per sample.
    pub macs: u64,
    /// Trainable parameters.
    pub params: u64,
}

impl Unit {
    /// Output shapes, MACs and parameters of the unit on one sample whose maps have the shapes `maps`.
    ///
    /// # Panics
    /// When there is no map, or fewer than a part refers to.
    pub fn summarise(&self, maps: &[Shape]) -> UnitSummary {
        let coarsest = *maps.last().expect("at least one map travels between units");
        match self {
            Self::Sequence(layers) => UnitSummary::of_one(&[summarise(layers, coarsest)]),
            Self::Residual { before, body, shortcut, after } => {
                let before = summarise(before, coarsest);
                let way_round = match shortcut {
                    Shortcut::Identity | Shortcut::PadSubsample { .. } => Summary { output: before.output, macs: 0, params: 0 },
                    Shortcut::Projection(layers) => summarise(layers, before.output),
                };
                let body = summarise(body, before.output);
                UnitSummary::of_one(&[before, way_round, body, summarise(after, body.output)])
            }
            Self::Joined(joined) => {
                let mut unit = UnitSummary { maps: Vec::with_capacity(joined.len()), macs: 0, params: 0 };
                for map in joined {
                    let made: Vec<Summary> = map.parts.iter().map(|part| summarise(&part.layers, part.from.of(maps, &unit.maps))).collect();
                    unit.macs += made.iter().map(|part| part.macs).sum::<u64>();
                    unit.params += made.iter().map(|part| part.params).sum::<u64>();
                    let channels = made.iter().map(|part| part.output.channels).sum();
                    unit.maps.push(Shape { channels, ..made[0].output });
                }
                unit
            }
        }
    }
}

impl UnitSummary {
    /// Pieces that all count, the last of which puts out the unit's one map.
    fn of_one(pieces: &[Summary]) -> Self {
        Self {
            maps: pieces.last().map(|last| last.output).into_iter().collect(),
            macs: pieces.iter().map(|piece| piece.macs).sum(),
            params: pieces.iter().map(|piece| piece.params).sum(),
        }
    }
}

impl MapRef {
    /// What it refers to among a unit's inputs and what it has put out so far.
    pub fn of<T: Copy>(self, inputs: &[T], outputs: &[T]) -> T {
        match self {
            Self::Input(index) => inputs[index],
            Self::Output(index) => outputs[index],
        }
    }
}

impl Part {
    /// The `index`-th map that the unit is given, through `layers`.
    pub fn of_input(index: usize, layers: Vec<Layer>) -> Self {
        Self { from: MapRef::Input(index), layers }
    }

    /// The `index`-th map that the unit has put out, through `layers`.
    pub fn of_output(index: usize, layers: Vec<Layer>) -> Self {
        Self { from: MapRef::Output(index), layers }
    }
}

impl Backbone {
    /// Running totals after each unit: the shape of the map that an exit there reads, and MACs and parameters from the input up to and with the unit.
    pub fn cumulative(&self) -> Vec<Summary> {
        let start = UnitSummary { maps: vec![self.input], macs: 0, params: 0 };
        let running = self.units.iter().scan(start, |so_far, unit| {
            let here = unit.summarise(&so_far.maps);
            let output = *here.maps.last().expect("a unit puts out at least one map");
            *so_far = UnitSummary { maps: here.maps, macs: so_far.macs + here.macs, params: so_far.params + here.params };
            Some(Summary { output, macs: so_far.macs, params: so_far.params })
        });
        running.collect()
    }

    /// The whole backbone, head included and own side exits left out: logits' shape, strict MACs per sample, parameters.
    pub fn total(&self) -> Summary {
        let trunk = self.cumulative().last().copied().unwrap_or(Summary { output: self.input, macs: 0, params: 0 });
        let head = summarise(&self.head, trunk.output);
        Summary { output: head.output, macs: trunk.macs + head.macs, params: trunk.params + head.params }
    }
}

/// Weighted layers of the known residual networks: 6n + 2 for n units a stage.
const RESNET_DEPTHS: [usize; 7] = [8, 14, 20, 32, 44, 56, 110];

/// Channels of the three stages.
const STAGE_CHANNELS: [usize; 3] = [16, 32, 64];

/// Two stages halve the map, so a side of 4 is the least that every halving still shrinks.
const LEAST_SIDE: usize = 4;

/// Marks projection shortcuts in a name.
const PROJECTION_SUFFIX: &str = "-b";

/// Every name that [`build`] knows.
pub fn names() -> impl Iterator<Item = String> {
    RESNET_DEPTHS.iter().flat_map(|depth| [format!("resnet{depth}"), format!("resnet{depth}{PROJECTION_SUFFIX}")])
}

/// Builds a backbone by name for inputs of shape `input` and `n_classes` classes.
///
/// The names are `resnet8`, `resnet14`, `resnet20`, `resnet32`, `resnet44`, `resnet56` and `resnet110`: residual networks for small images, with
/// a 3x3 stem to 16 channels and three stages of 16, 32 and 64 channels, whose second and third begin with stride 2. Their shortcuts are
/// free of parameters (option A: subsample and pad with zero channels). The suffix `-b` puts a 1x1 convolution with batch norm where
/// the shape changes (option B).
///
/// # Errors
/// When no backbone has that name, or it cannot take that input.
///
/// # Source
/// He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, section 4.2, arXiv 1512.03385.
pub fn build(name: &str, input: Shape, n_classes: usize) -> Result<Backbone, BackboneError> {
    let (plain, projects) = match name.strip_suffix(PROJECTION_SUFFIX) {
        Some(plain) => (plain, true),
        None => (name, false),
    };
    let depth = RESNET_DEPTHS.into_iter().find(|depth| plain.strip_prefix("resnet") == Some(depth.to_string().as_str()));
    let Some(depth) = depth else {
        return Err(BackboneError::Unknown { name: name.to_owned(), suggestion: most_similar(name) });
    };
    if input.height.min(input.width) < LEAST_SIDE {
        return Err(BackboneError::InputTooSmall { name: name.to_owned(), input, least: LEAST_SIDE });
    }
    Ok(resnet(name, (depth - 2) / 6, projects, input, n_classes))
}

/// A CIFAR-style ResNet of three stages of `n_units` residual units.
fn resnet(name: &str, n_units: usize, projects: bool, input: Shape, n_classes: usize) -> Backbone {
    let mut channels = STAGE_CHANNELS[0];
    let mut units = vec![Unit::Sequence(vec![Layer::conv3x3(input.channels, channels, 1), Layer::BatchNorm { channels }, Layer::Relu])];
    let mut stage_ends = Vec::with_capacity(STAGE_CHANNELS.len());
    for stage_channels in STAGE_CHANNELS {
        for _ in 0..n_units {
            units.push(residual_unit(channels, stage_channels, projects));
            channels = stage_channels;
        }
        stage_ends.push(units.len() - 1);
    }
    let head = vec![Layer::GlobalAveragePool, Layer::Linear { inputs: channels, outputs: n_classes }];
    Backbone { name: name.to_owned(), input, units, stage_ends, head, own_exits: Vec::new() }
}

/// Two 3x3 convolutions and the way round them; more channels go with half the side.
fn residual_unit(inputs: usize, outputs: usize, projects: bool) -> Unit {
    let stride = if inputs == outputs { 1 } else { 2 };
    let norm = Layer::BatchNorm { channels: outputs };
    let body = vec![Layer::conv3x3(inputs, outputs, stride), norm, Layer::Relu, Layer::conv3x3(outputs, outputs, 1), norm];
    let shortcut = match (stride, projects) {
        (1, _) => Shortcut::Identity,
        (_, true) => Shortcut::Projection(vec![Layer::conv1x1(inputs, outputs, stride), norm]),
        (_, false) => Shortcut::PadSubsample { stride, pad: (outputs - inputs) / 2 },
    };
    Unit::Residual { before: Vec::new(), body, shortcut, after: vec![Layer::Relu] }
}

/// The known name most similar to `name`, if any resembles it at all.
fn most_similar(name: &str) -> Option<String> {
    let name = name.to_lowercase();
    let scored = names().map(|known| (strsim::normalized_damerau_levenshtein(&name, &known), known));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    // Half of the letters in place is the least that still looks like a slip rather than another network's name.
    best.filter(|(similarity, _)| *similarity >= 0.5).map(|(_, known)| known)
}

/// Why there is no such backbone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackboneError {
    /// Nothing has this name.
    #[error("no backbone is called `{name}`")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The most similar known name.
        suggestion: Option<String>,
    },
    /// The maps would shrink to nothing.
    #[error("`{name}` cannot take an input of {input}: its sides must be at least {least}")]
    InputTooSmall {
        /// The backbone.
        name: String,
        /// The input asked for.
        input: Shape,
        /// The least side it can take.
        least: usize,
    },
}

impl BackboneError {
    /// What to try instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Unknown { suggestion: Some(suggestion), .. } => format!("did you mean `{suggestion}`?"),
            Self::Unknown { suggestion: None, .. } => format!("known backbones: {}", names().collect::<Vec<_>>().join(", ")),
            Self::InputTooSmall { least, .. } => format!("choose a dataset with images of at least {least}x{least}"),
        }
    }
}

#[cfg(test)]
mod tests;
