//! Backbones as data: units with shapes, between any two of which an exit can hang.

mod densenet;
mod design;
mod error;
mod mobilenet;
mod msdnet;
mod resnet;
mod vgg;
mod wide_resnet;

use self::design::Design;
pub use self::error::BackboneError;
use crate::layer::{self, Layer, Summary, summarise};
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
    /// Calls `see` with every layer of the unit and the shape of what it is given, in the order of computation, on one sample whose maps have the
    /// shapes `maps`. Returns the shapes of the maps that the unit puts out.
    ///
    /// # Panics
    /// When there is no map, or fewer than a part refers to.
    pub fn visit(&self, maps: &[Shape], see: &mut impl FnMut(Layer, Shape)) -> Vec<Shape> {
        let coarsest = *maps.last().expect("at least one map travels between units");
        match self {
            Self::Sequence(layers) => vec![layer::visit(layers, coarsest, see)],
            Self::Residual { before, body, shortcut, after } => {
                let input = layer::visit(before, coarsest, see);
                let sum = layer::visit(body, input, see);
                match shortcut {
                    Shortcut::Identity | Shortcut::PadSubsample { .. } => {}
                    Shortcut::Projection(layers) => {
                        layer::visit(layers, input, see);
                    }
                }
                vec![layer::visit(after, sum, see)]
            }
            Self::Joined(joined) => {
                let mut outputs = Vec::with_capacity(joined.len());
                for map in joined {
                    let shapes: Vec<Shape> =
                        map.parts.iter().map(|part| layer::visit(&part.layers, part.from.of(maps, &outputs), see)).collect();
                    outputs.push(Shape { channels: shapes.iter().map(|shape| shape.channels).sum(), ..shapes[0] });
                }
                outputs
            }
        }
    }

    /// Output shapes, MACs and parameters of the unit on one sample whose maps have the shapes `maps`.
    ///
    /// # Panics
    /// As [`Unit::visit`] does.
    pub fn summarise(&self, maps: &[Shape]) -> UnitSummary {
        let (mut macs, mut params) = (0, 0);
        let maps = self.visit(maps, &mut |layer, input| {
            macs += layer.macs(input);
            params += layer.params();
        });
        UnitSummary { maps, macs, params }
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
    /// A backbone that was not published with exits, whose stages are the runs of units at one size of the map.
    fn plain(name: &str, input: Shape, units: Vec<Unit>, head: Vec<Layer>) -> Self {
        let mut backbone = Self { name: name.to_owned(), input, units, stage_ends: Vec::new(), head, own_exits: Vec::new() };
        let outputs: Vec<Shape> = backbone.cumulative().iter().map(|so_far| so_far.output).collect();
        let ends_stage = |&index: &usize| outputs.get(index + 1).is_none_or(|next| next.positions() < outputs[index].positions());
        backbone.stage_ends = (0..outputs.len()).filter(ends_stage).collect();
        backbone
    }

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

/// Builds a backbone by name for inputs of shape `input` and `n_classes` classes.
///
/// # Names
/// Networks for small images, whose stem keeps the image's size:
///
/// | name | network |
/// |---|---|
/// | `resnetD`, `resnetD-b` | residual network of three stages with D = 8, 14, ..., 110 layers; shortcuts of option A, with `-b` of option B |
/// | `resnet18`, `resnet34` | residual network of four stages |
/// | `wrn-D-K` | wide residual network, D = 10, 16, ..., 64 layers, K = 1 to 16 times as wide |
/// | `wrn-32-4-sdn` | the variant of shallow-deep networks |
/// | `vggD-bn` | VGG with batch norm, D = 11, 13, 16, 19; also with `-nobias`, `-fc512`, `-fc4096` |
/// | `mobilenetv1`, `mobilenetv2`, `mobilenetv2-projection` | MobileNets |
/// | `densenet-bc-D-K` | densely connected network, D = 10, 16, ..., 250 layers, growth K = 1 to 48 |
/// | `msdnet-N-B-S`, `msdnet-N-B-S-linear` | multi-scale network of N = 2 to 20 blocks, the first of B = 1 to 16 layers, the others of S, or of S + 1, 2 S + 1, ... |
///
/// Networks for large images, whose stem shrinks the image: `resnet18-imagenet`, `resnet34-imagenet`, `resnet50-imagenet`,
/// `mobilenetv1-imagenet`, `mobilenetv2-imagenet`, `vggD-bn-imagenet` and `msdnet-N-B-S-imagenet`.
///
/// The families' modules say which public implementation each one counts like.
///
/// # Errors
/// When no backbone has that name, or it cannot take that input: each halving must find a map that it still shrinks, or most of what is
/// counted would be spent on padding.
pub fn build(name: &str, input: Shape, n_classes: usize) -> Result<Backbone, BackboneError> {
    let design = Design::parse(name)?;
    let least = design.least_side();
    if input.height.min(input.width) < least {
        return Err(BackboneError::InputTooSmall { name: name.to_owned(), input, least });
    }
    Ok(design.assemble(name, input, n_classes))
}

/// Whether [`build`] knows a name, whatever the input.
///
/// # Errors
/// When no backbone has that name.
pub fn check_name(name: &str) -> Result<(), BackboneError> {
    Design::parse(name).map(|_| ())
}

/// The backbones that are listed by name: every one that the literature gives numbers for, and the small ones of the families that have any size.
pub fn names() -> impl Iterator<Item = &'static str> {
    design::NAMED.into_iter()
}

#[cfg(test)]
mod tests;
