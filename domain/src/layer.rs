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

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: Shape = Shape::new(16, 9, 8);

    /// Shape, MACs and parameters of one layer on 16 maps of 9x8, counted by hand.
    fn check(layer: Layer, output: Shape, macs: u64, params: u64) {
        assert_eq!((layer.output(INPUT), layer.macs(INPUT), layer.params()), (output, macs, params), "{layer:?}");
    }

    #[test]
    fn convolutions_pay_for_every_output_position_and_have_no_bias() {
        check(Layer::conv3x3(16, 32, 1), Shape::new(32, 9, 8), 9 * 16 * 32 * 72, 9 * 16 * 32);
        // Centres 0, 2, 4, 6, 8 of nine rows and 0, 2, 4, 6 of eight columns.
        check(Layer::conv3x3(16, 32, 2), Shape::new(32, 5, 4), 9 * 16 * 32 * 20, 9 * 16 * 32);
        check(Layer::conv1x1(16, 64, 2), Shape::new(64, 5, 4), 16 * 64 * 20, 16 * 64);
    }

    #[test]
    fn everything_but_convolutions_and_linear_layers_is_free() {
        check(Layer::BatchNorm { channels: 16 }, INPUT, 0, 32);
        check(Layer::Relu, INPUT, 0, 0);
        check(Layer::GlobalAveragePool, Shape::new(16, 1, 1), 0, 0);
    }

    #[test]
    fn a_linear_layers_bias_is_a_parameter_and_no_mac() {
        check(Layer::Linear { inputs: 16, outputs: 10 }, Shape::new(10, 1, 1), 160, 170);
    }

    #[test]
    fn a_summary_feeds_each_layer_the_shape_before_it() {
        let layers = [Layer::conv3x3(16, 32, 2), Layer::Relu, Layer::conv3x3(32, 8, 1), Layer::GlobalAveragePool];
        let expected = Summary { output: Shape::new(8, 1, 1), macs: (4_608 + 2_304) * 20, params: 4_608 + 2_304 };
        assert_eq!(summarise(&layers, INPUT), expected);
        assert_eq!(summarise(&[], INPUT), Summary { output: INPUT, macs: 0, params: 0 });
    }
}
