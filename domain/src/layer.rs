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
    /// The rectifier that is cut off at 6.
    Relu6,
    /// Maximum over each window; the padding never wins.
    MaxPool {
        /// Side of the window.
        kernel: usize,
        /// Stride, both ways.
        stride: usize,
        /// Padding, all four sides.
        padding: usize,
    },
    /// Mean over each window.
    AveragePool {
        /// Side of the window.
        kernel: usize,
        /// Stride, both ways.
        stride: usize,
    },
    /// Mean over all positions: `[c, h, w] -> [c, 1, 1]`.
    GlobalAveragePool,
    /// A fully connected layer with bias, on the map laid out channel by channel, and within a channel row by row: `[c, h, w] -> [outputs, 1, 1]`.
    Linear {
        /// Features in: channels times positions.
        inputs: usize,
        /// Features out.
        outputs: usize,
    },
}

/// A square convolution.
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
    /// Into how many parts the channels are split: each part's outputs see its own inputs alone. Divides inputs and outputs; as many as channels
    /// make a depthwise convolution.
    pub groups: usize,
    /// Whether something is added to every output channel.
    pub bias: bool,
}

impl Conv2d {
    /// A convolution with an odd kernel that keeps the map's size but for the stride: one group, no bias, padding of half a kernel.
    pub const fn new(inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Self {
        Self { inputs, outputs, kernel, stride, padding: kernel / 2, groups: 1, bias: false }
    }

    /// Numbers in its kernels, bias aside.
    const fn weights(self) -> usize {
        self.kernel * self.kernel * (self.inputs / self.groups) * self.outputs
    }
}

impl Layer {
    /// A convolution with an odd kernel and padding of half of it, without bias.
    pub const fn conv(inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Self {
        Self::Conv2d(Conv2d::new(inputs, outputs, kernel, stride))
    }

    /// A 3x3 convolution, padding 1, without bias.
    pub const fn conv3x3(inputs: usize, outputs: usize, stride: usize) -> Self {
        Self::conv(inputs, outputs, 3, stride)
    }

    /// A 1x1 convolution without bias.
    pub const fn conv1x1(inputs: usize, outputs: usize, stride: usize) -> Self {
        Self::conv(inputs, outputs, 1, stride)
    }

    /// A 3x3 convolution of every channel by itself, padding 1, without bias.
    pub const fn depthwise3x3(channels: usize, stride: usize) -> Self {
        Self::Conv2d(Conv2d { groups: channels, ..Conv2d::new(channels, channels, 3, stride) })
    }

    /// The shape that this layer turns `input` into.
    ///
    /// # Panics
    /// When a window does not fit on the padded map, which [`crate::backbone::build`] rules out.
    pub const fn output(self, input: Shape) -> Shape {
        match self {
            Self::Conv2d(conv) => Shape {
                channels: conv.outputs,
                height: windows(input.height, conv.kernel, conv.stride, conv.padding),
                width: windows(input.width, conv.kernel, conv.stride, conv.padding),
            },
            Self::MaxPool { kernel, stride, padding } => Shape {
                channels: input.channels,
                height: windows(input.height, kernel, stride, padding),
                width: windows(input.width, kernel, stride, padding),
            },
            Self::AveragePool { kernel, stride } => Shape {
                channels: input.channels,
                height: windows(input.height, kernel, stride, 0),
                width: windows(input.width, kernel, stride, 0),
            },
            Self::BatchNorm { .. } | Self::Relu | Self::Relu6 => input,
            Self::GlobalAveragePool => Shape::new(input.channels, 1, 1),
            Self::Linear { outputs, .. } => Shape::new(outputs, 1, 1),
        }
    }

    /// Strict MACs on one sample of shape `input`.
    pub const fn macs(self, input: Shape) -> u64 {
        match self {
            Self::Conv2d(conv) => (conv.weights() * self.output(input).positions()) as u64,
            Self::Linear { inputs, outputs } => (inputs * outputs) as u64,
            Self::BatchNorm { .. }
            | Self::Relu
            | Self::Relu6
            | Self::MaxPool { .. }
            | Self::AveragePool { .. }
            | Self::GlobalAveragePool => 0,
        }
    }

    /// Trainable parameters, batch norm's scale and shift included.
    pub const fn params(self) -> u64 {
        match self {
            Self::Conv2d(conv) => (conv.weights() + if conv.bias { conv.outputs } else { 0 }) as u64,
            Self::BatchNorm { channels } => 2 * channels as u64,
            Self::Linear { inputs, outputs } => (inputs * outputs + outputs) as u64,
            Self::Relu | Self::Relu6 | Self::MaxPool { .. } | Self::AveragePool { .. } | Self::GlobalAveragePool => 0,
        }
    }
}

/// How many windows fit along a padded side; what is left over at the end is not seen.
const fn windows(side: usize, kernel: usize, stride: usize, padding: usize) -> usize {
    (side + 2 * padding - kernel) / stride + 1
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

/// Calls `see` with every layer and the shape of what it is given, the layers being applied one after another to `input`. Returns the last shape.
pub fn visit(layers: &[Layer], input: Shape, see: &mut impl FnMut(Layer, Shape)) -> Shape {
    layers.iter().fold(input, |input, layer| {
        see(*layer, input);
        layer.output(input)
    })
}

/// Sums up layers applied one after another to `input`.
pub fn summarise(layers: &[Layer], input: Shape) -> Summary {
    let (mut macs, mut params) = (0, 0);
    let output = visit(layers, input, &mut |layer, input| {
        macs += layer.macs(input);
        params += layer.params();
    });
    Summary { output, macs, params }
}

/// A convolution with an odd kernel, batch norm and the rectifier.
pub(crate) fn conv_norm_relu(inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Vec<Layer> {
    vec![Layer::conv(inputs, outputs, kernel, stride), Layer::BatchNorm { channels: outputs }, Layer::Relu]
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
    fn convolutions_pay_for_every_output_position() {
        check(Layer::conv3x3(16, 32, 1), Shape::new(32, 9, 8), 9 * 16 * 32 * 72, 9 * 16 * 32);
        // Centres 0, 2, 4, 6, 8 of nine rows and 0, 2, 4, 6 of eight columns.
        check(Layer::conv3x3(16, 32, 2), Shape::new(32, 5, 4), 9 * 16 * 32 * 20, 9 * 16 * 32);
        check(Layer::conv1x1(16, 64, 2), Shape::new(64, 5, 4), 16 * 64 * 20, 16 * 64);
        // Seven rows wide with three of padding: nine rows, every second.
        check(Layer::conv(16, 4, 7, 2), Shape::new(4, 5, 4), 49 * 16 * 4 * 20, 49 * 16 * 4);
    }

    #[test]
    fn groups_divide_the_cost_and_a_bias_is_a_parameter_and_no_mac() {
        check(Layer::depthwise3x3(16, 2), Shape::new(16, 5, 4), 9 * 16 * 20, 9 * 16);
        let grouped = Conv2d { groups: 4, ..Conv2d::new(16, 32, 3, 1) };
        check(Layer::Conv2d(grouped), Shape::new(32, 9, 8), 9 * 4 * 32 * 72, 9 * 4 * 32);
        check(Layer::Conv2d(Conv2d { bias: true, ..grouped }), Shape::new(32, 9, 8), 9 * 4 * 32 * 72, 9 * 4 * 32 + 32);
    }

    #[test]
    fn pooling_drops_what_is_left_over_unless_padded() {
        check(Layer::MaxPool { kernel: 2, stride: 2, padding: 0 }, Shape::new(16, 4, 4), 0, 0);
        check(Layer::AveragePool { kernel: 2, stride: 2 }, Shape::new(16, 4, 4), 0, 0);
        // Windows begin at rows -1, 1, 3, 5, 7 of nine and columns -1, 1, 3, 5 of eight.
        check(Layer::MaxPool { kernel: 3, stride: 2, padding: 1 }, Shape::new(16, 5, 4), 0, 0);
    }

    #[test]
    fn everything_but_convolutions_and_linear_layers_is_free() {
        check(Layer::BatchNorm { channels: 16 }, INPUT, 0, 32);
        check(Layer::Relu, INPUT, 0, 0);
        check(Layer::Relu6, INPUT, 0, 0);
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
