//! Layers as data, with their shapes, multiply-accumulates and parameters.
//!
//! # Units
//! Costs are strict MACs per sample: multiply-accumulates of convolutions and linear layers, bias excluded; everything else is free.

use crate::shape::Shape;

/// One layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// A 2-D convolution.
    Conv2d(Conv2d),
    /// Batch normalisation with a learned scale and shift.
    BatchNorm {
        /// Channels of its input and output.
        channels: usize,
    },
    /// The rectifier.
    Relu,
    /// Mean over all positions: `[c, h, w] -> [c, 1, 1]`.
    GlobalAveragePool,
    /// A fully connected layer with bias, on a pooled map.
    Linear {
        /// Features in.
        inputs: usize,
        /// Features out.
        outputs: usize,
    },
}

/// A square convolution without bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2d {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Stride, both ways.
    pub stride: usize,
    /// Zero padding, all four sides.
    pub padding: usize,
}

impl Layer {
    /// A 3x3 convolution, padding 1.
    pub const fn conv3x3(inputs: usize, outputs: usize, stride: usize) -> Self {
        Self::Conv2d(Conv2d { inputs, outputs, kernel: 3, stride, padding: 1 })
    }

    /// A 1x1 convolution.
    pub const fn conv1x1(inputs: usize, outputs: usize, stride: usize) -> Self {
        Self::Conv2d(Conv2d { inputs, outputs, kernel: 1, stride, padding: 0 })
    }

    /// The shape that this layer turns `input` into.
    pub const fn output(self, input: Shape) -> Shape {
        match self {
            Self::Conv2d(conv) => Shape {
                channels: conv.outputs,
                height: (input.height + 2 * conv.padding - conv.kernel) / conv.stride + 1,
                width: (input.width + 2 * conv.padding - conv.kernel) / conv.stride + 1,
            },
            Self::BatchNorm { .. } | Self::Relu => input,
            Self::GlobalAveragePool => Shape::new(input.channels, 1, 1),
            Self::Linear { outputs, .. } => Shape::new(outputs, 1, 1),
        }
    }

    /// Strict MACs on one sample of shape `input`.
    pub const fn macs(self, input: Shape) -> u64 {
        match self {
            Self::Conv2d(conv) => {
                let per_position = conv.kernel * conv.kernel * conv.inputs * conv.outputs;
                (per_position * self.output(input).positions()) as u64
            }
            Self::Linear { inputs, outputs } => (inputs * outputs) as u64,
            Self::BatchNorm { .. } | Self::Relu | Self::GlobalAveragePool => 0,
        }
    }

    /// Trainable parameters, batch norm's scale and shift included.
    pub const fn params(self) -> u64 {
        match self {
            Self::Conv2d(conv) => (conv.kernel * conv.kernel * conv.inputs * conv.outputs) as u64,
            Self::BatchNorm { channels } => 2 * channels as u64,
            Self::Linear { inputs, outputs } => (inputs * outputs + outputs) as u64,
            Self::Relu | Self::GlobalAveragePool => 0,
        }
    }
}

/// What a run of layers comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Shape after the last layer.
    pub output: Shape,
    /// Strict MACs per sample.
    pub macs: u64,
    /// Trainable parameters.
    pub params: u64,
}

/// Sums up layers applied one after another to `input`.
pub fn summarise(layers: &[Layer], input: Shape) -> Summary {
    let start = Summary { output: input, macs: 0, params: 0 };
    layers.iter().fold(start, |so_far, layer| Summary {
        output: layer.output(so_far.output),
        macs: so_far.macs + layer.macs(so_far.output),
        params: so_far.params + layer.params(),
    })
}
