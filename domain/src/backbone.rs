//! Backbones as data: units with shapes, between any two of which an exit can hang.

use crate::layer::Layer;
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

/// Builds a backbone by name (`resnet20`, `resnet56-b`, ...) for inputs of `input` and `n_classes` classes.
///
/// # Errors
/// When no backbone has that name, or it cannot take that input.
pub fn build(_name: &str, _input: Shape, _n_classes: usize) -> Result<Backbone, BackboneError> {
    todo!()
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
