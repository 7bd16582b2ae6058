//! Backbones as data: units with shapes, between any two of which an exit can hang.

use crate::layer::{Layer, Summary, summarise};
use crate::shape::Shape;

/// A network without branches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backbone {
    /// Its canonical name.
    pub name: String,
    /// Shape of one input.
    pub input: Shape,
    /// The units, the stem first. An exit hangs on a unit's output.
    pub units: Vec<Unit>,
    /// Indices of the units that end a stage.
    pub stage_ends: Vec<usize>,
    /// The final classifier: the last exit.
    pub head: Vec<Layer>,
}

/// The smallest piece of a backbone that an exit can follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// Layers one after another.
    Sequence(Vec<Layer>),
    /// `relu(body(x) + shortcut(x))`.
    Residual {
        /// The residual function.
        body: Vec<Layer>,
        /// What the input goes through on its way to the sum.
        shortcut: Shortcut,
    },
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

impl Unit {
    /// Output shape, MACs and parameters of the unit on one sample of shape `input`.
    pub fn summarise(&self, input: Shape) -> Summary {
        match self {
            Self::Sequence(layers) => summarise(layers, input),
            Self::Residual { body, shortcut } => {
                let body = summarise(body, input);
                let (macs, params) = match shortcut {
                    Shortcut::Identity | Shortcut::PadSubsample { .. } => (0, 0),
                    Shortcut::Projection(layers) => {
                        let projection = summarise(layers, input);
                        (projection.macs, projection.params)
                    }
                };
                Summary { output: body.output, macs: body.macs + macs, params: body.params + params }
            }
        }
    }
}

impl Backbone {
    /// Running totals after each unit: the unit's output shape, and MACs and parameters from the input up to and with it.
    pub fn cumulative(&self) -> Vec<Summary> {
        let start = Summary { output: self.input, macs: 0, params: 0 };
        let running = self.units.iter().scan(start, |so_far, unit| {
            let here = unit.summarise(so_far.output);
            *so_far = Summary { output: here.output, macs: so_far.macs + here.macs, params: so_far.params + here.params };
            Some(*so_far)
        });
        running.collect()
    }

    /// The whole backbone, head included: logits' shape, strict MACs per sample, parameters.
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
    Backbone { name: name.to_owned(), input, units, stage_ends, head }
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
    Unit::Residual { body, shortcut }
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
