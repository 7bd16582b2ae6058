//! Ways of counting operations that published numbers were counted in.
//!
//! Offramp's own unit is strict MACs, [`Convention::Strict`]. The others make published tables comparable and are never used to build anything.

use crate::backbone::Backbone;
use crate::layer::{Conv2d, Layer};
use crate::shape::Shape;

/// What counts as an operation, per sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convention {
    /// Multiply-accumulates of convolutions and linear layers, bias excluded.
    Strict,
    /// As multi-scale dense networks and what builds on them count: strict MACs, a linear layer's bias, an operation for every element that a rectifier is
    /// given, and one for every element of every window that is pooled. Batch norm is free.
    ///
    /// # Source
    /// The operation counter of the public kalviny/MSDNet-PyTorch.
    MultiScale,
    /// As shallow-deep networks count: multiplications and additions apart, so 2 n - 1 operations for a sum of n products, and another for a
    /// convolution's bias; two for every element that is normalised, one for every element that is rectified, and as many as a window has
    /// elements for a mean, one fewer for a maximum. A convolution in groups is counted once for every group, each time for all outputs.
    ///
    /// The groups are an oversight there (a MobileNet comes out eight times too dear), kept because published placements and costs rest on it.
    ///
    /// # Source
    /// The profiler of the public code of Kaya, Hong, Dumitras, arXiv 1810.07052.
    ShallowDeep,
}

impl Convention {
    /// Operations of one layer on one sample of shape `input`.
    pub const fn layer(self, layer: Layer, input: Shape) -> u64 {
        match self {
            Self::Strict => layer.macs(input),
            Self::MultiScale => layer.macs(input) + multi_scale_extra(layer, input),
            Self::ShallowDeep => shallow_deep(layer, input),
        }
    }

    /// Operations of layers applied one after another.
    pub fn layers(self, layers: &[Layer], input: Shape) -> u64 {
        let mut operations = 0;
        crate::layer::visit(layers, input, &mut |layer, input| operations += self.layer(layer, input));
        operations
    }

    /// Operations of a backbone from the input up to and with each unit.
    pub fn cumulative(self, backbone: &Backbone) -> Vec<u64> {
        let mut operations = 0;
        let mut maps = vec![backbone.input];
        let running = backbone.units.iter().map(|unit| {
            maps = unit.visit(&maps, &mut |layer, input| operations += self.layer(layer, input));
            operations
        });
        running.collect()
    }

    /// Operations of a backbone and its head; of its own side exits none.
    pub fn total(self, backbone: &Backbone) -> u64 {
        let trunk = self.cumulative(backbone).last().copied().unwrap_or(0);
        let output = backbone.cumulative().last().map_or(backbone.input, |last| last.output);
        trunk + self.layers(&backbone.head, output)
    }

    /// Operations up to each of a backbone's own exits and its head, with those of all exits before: the cost of going on until the answer of that
    /// exit.
    pub fn own_exits(self, backbone: &Backbone) -> Vec<u64> {
        let (trunk, shapes) = (self.cumulative(backbone), backbone.cumulative());
        let mut exits = 0;
        let mut costs = Vec::with_capacity(backbone.own_exits.len() + 1);
        for exit in &backbone.own_exits {
            exits += self.layers(&exit.layers, shapes[exit.unit].output);
            costs.push(trunk[exit.unit] + exits);
        }
        costs.push(self.total(backbone) + exits);
        costs
    }
}

/// What is counted beside strict MACs.
const fn multi_scale_extra(layer: Layer, input: Shape) -> u64 {
    let operations = match layer {
        Layer::Linear { outputs, .. } => outputs,
        Layer::Relu | Layer::Relu6 | Layer::GlobalAveragePool => elements(input),
        Layer::MaxPool { kernel, .. } | Layer::AveragePool { kernel, .. } => elements(layer.output(input)) * kernel * kernel,
        Layer::Conv2d(_) | Layer::BatchNorm { .. } => 0,
    };
    operations as u64
}

const fn shallow_deep(layer: Layer, input: Shape) -> u64 {
    let outputs = elements(layer.output(input));
    let operations = match layer {
        Layer::Conv2d(Conv2d { inputs, kernel, groups, bias, .. }) => {
            let one_output = 2 * kernel * kernel * (inputs / groups) - 1;
            outputs * groups * if bias { one_output + 1 } else { one_output }
        }
        Layer::Linear { inputs, .. } => outputs * (2 * inputs - 1),
        Layer::BatchNorm { .. } => 2 * outputs,
        Layer::Relu | Layer::Relu6 => outputs,
        Layer::MaxPool { kernel, .. } => outputs * (kernel * kernel - 1),
        Layer::AveragePool { kernel, .. } => outputs * kernel * kernel,
        Layer::GlobalAveragePool => elements(input),
    };
    operations as u64
}

const fn elements(shape: Shape) -> usize {
    shape.channels * shape.positions()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::build;

    const INPUT: Shape = Shape::new(16, 9, 8);

    #[test]
    fn each_convention_counts_layers_as_stated() {
        let check = |layer: Layer, expected: [u64; 3]| {
            let counted = [Convention::Strict, Convention::MultiScale, Convention::ShallowDeep].map(|by| by.layer(layer, INPUT));
            assert_eq!(counted, expected, "{layer:?}");
        };
        check(Layer::conv3x3(16, 32, 1), [331_776, 331_776, 32 * 72 * 287]);
        // Four groups, whose outputs the third convention counts four times.
        let grouped = Conv2d { groups: 4, ..Conv2d::new(16, 32, 3, 1) };
        check(Layer::Conv2d(grouped), [82_944, 82_944, 4 * 32 * 72 * 71]);
        check(Layer::Conv2d(Conv2d { bias: true, ..grouped }), [82_944, 82_944, 4 * 32 * 72 * 72]);
        check(Layer::Linear { inputs: 1152, outputs: 10 }, [11_520, 11_530, 23_030]);
        check(Layer::BatchNorm { channels: 16 }, [0, 0, 2_304]);
        check(Layer::Relu, [0, 1_152, 1_152]);
        check(Layer::Relu6, [0, 1_152, 1_152]);
        // 5x4 windows of 9, and 4x4 of 4.
        check(Layer::MaxPool { kernel: 3, stride: 2, padding: 1 }, [0, 2_880, 2_560]);
        check(Layer::AveragePool { kernel: 2, stride: 2 }, [0, 1_024, 1_024]);
        check(Layer::GlobalAveragePool, [0, 1_152, 1_152]);
    }

    /// Shallow-deep networks report 0.7504 G operations for a MobileNet on CIFAR-10 that has 46,354,432 MACs, 0.0927 G at two operations each.
    #[test]
    fn shallow_deep_networks_overlook_the_groups_of_mobilenet() {
        let backbone = build("mobilenetv1", Shape::new(3, 32, 32), 10).unwrap();
        let operations = Convention::ShallowDeep.total(&backbone);
        assert_eq!((operations + 50_000) / 100_000, 7_504, "{operations}");
        assert_eq!(Convention::Strict.total(&backbone), 46_354_432);
    }

    /// Operations per exit as the reference counts them for CIFAR-100 and ImageNet, in thousands; those of the second ImageNet network are what
    /// issue 10 of kalviny/MSDNet-PyTorch logs.
    #[test]
    fn multi_scale_networks_cost_what_their_reference_says() {
        let check = |name: &str, input: Shape, n_classes: usize, precision: u64, expected: &[u64]| {
            let costs = Convention::MultiScale.own_exits(&build(name, input, n_classes).unwrap());
            let rounded: Vec<u64> = costs.into_iter().map(|cost| (cost + precision / 2) / precision).collect();
            assert_eq!(rounded, expected, "{name}");
        };
        let (small, large) = (Shape::new(3, 32, 32), Shape::new(3, 224, 224));
        let ten = [15_140, 25_506, 37_788, 52_062, 62_182, 74_071, 87_730, 100_039, 110_122, 121_679];
        check("msdnet-10-4-2", small, 100, 1_000, &ten);
        check("msdnet-7-4-2", small, 100, 1_000, &[15_140, 25_506, 37_096, 46_331, 57_336, 66_961, 75_938]);
        check("msdnet-5-1-1-linear", small, 100, 1_000, &[6_860, 14_350, 27_537, 41_715, 58_481]);
        check("msdnet-5-4-4-imagenet", large, 1_000, 10_000, &[33_990, 68_546, 100_816, 125_447, 136_053]);
        check("msdnet-5-7-7-imagenet", large, 1_000, 10_000, &[61_569, 143_639, 228_321, 296_742, 325_379]);
    }

    #[test]
    fn strict_macs_of_a_backbone_are_the_backbones_own() {
        let backbone = build("densenet-bc-40-12", Shape::new(3, 32, 32), 10).unwrap();
        assert_eq!(Convention::Strict.total(&backbone), backbone.total().macs);
        let cumulative: Vec<u64> = backbone.cumulative().iter().map(|so_far| so_far.macs).collect();
        assert_eq!(Convention::Strict.cumulative(&backbone), cumulative);
    }
}
