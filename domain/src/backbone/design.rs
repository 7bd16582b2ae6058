//! Names of backbones and what they stand for.

use super::densenet::DenseNet;
use super::mobilenet::{MobileNetV1, MobileNetV2};
use super::msdnet::MsdNet;
use super::resnet::{FourStages, ThreeStages};
use super::vgg::Vgg;
use super::wide_resnet::WideResNet;
use super::{Backbone, BackboneError};
use crate::shape::Shape;
use crate::spelling::suggest;

/// How names are written, for whoever asks for one that is none.
pub(super) const FORMS: [&str; 11] = [
    "`resnetD` and `resnetD-b` (D = 8, 14, ..., 110)",
    "`resnet18` and `resnet34`",
    "`resnetD-imagenet` (D = 18, 34, 50)",
    "`wrn-D-K` (D = 10, 16, ..., 64)",
    "`wrn-32-4-sdn`",
    "`vggD-bn` (D = 11, 13, 16, 19; also with `-nobias`, `-fc512`, `-fc4096`, `-imagenet`)",
    "`mobilenetv1` and `mobilenetv1-imagenet`",
    "`mobilenetv2`, `mobilenetv2-projection` and `mobilenetv2-imagenet`",
    "`densenet-bc-D-K` (D = 10, 16, ..., 250)",
    "`msdnet-N-B-S` (N blocks, B layers in the first, S in each other; also with `-linear`)",
    "`msdnet-N-B-S-imagenet`",
];

/// See [`super::names`].
pub(super) const NAMED: [&str; 56] = [
    "resnet8",
    "resnet8-b",
    "resnet14",
    "resnet14-b",
    "resnet20",
    "resnet20-b",
    "resnet32",
    "resnet32-b",
    "resnet44",
    "resnet44-b",
    "resnet56",
    "resnet56-b",
    "resnet110",
    "resnet110-b",
    "resnet18",
    "resnet34",
    "wrn-10-1",
    "wrn-16-4",
    "wrn-28-10",
    "wrn-34-4",
    "wrn-40-4",
    "wrn-32-4-sdn",
    "vgg11-bn",
    "vgg13-bn",
    "vgg16-bn",
    "vgg19-bn",
    "vgg11-bn-nobias",
    "vgg13-bn-nobias",
    "vgg16-bn-nobias",
    "vgg19-bn-nobias",
    "vgg11-bn-fc512",
    "vgg13-bn-fc512",
    "vgg16-bn-fc512",
    "vgg19-bn-fc512",
    "vgg16-bn-fc4096",
    "mobilenetv1",
    "mobilenetv2",
    "mobilenetv2-projection",
    "densenet-bc-10-12",
    "densenet-bc-40-12",
    "densenet-bc-100-12",
    "msdnet-2-1-1",
    "msdnet-5-1-1-linear",
    "msdnet-7-4-2",
    "msdnet-10-4-2",
    "resnet18-imagenet",
    "resnet34-imagenet",
    "resnet50-imagenet",
    "vgg11-bn-imagenet",
    "vgg13-bn-imagenet",
    "vgg16-bn-imagenet",
    "vgg19-bn-imagenet",
    "mobilenetv1-imagenet",
    "mobilenetv2-imagenet",
    "msdnet-5-4-4-imagenet",
    "msdnet-5-7-7-imagenet",
];

/// What a name stands for, before it meets an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Design {
    ThreeStages(ThreeStages),
    FourStages(FourStages),
    WideResNet(WideResNet),
    Vgg(Vgg),
    MobileNetV1(MobileNetV1),
    MobileNetV2(MobileNetV2),
    DenseNet(DenseNet),
    MsdNet(MsdNet),
}

/// What a family makes of a name: `None` where it is not written like one of its own.
pub(super) type Parsed<D> = Option<Result<D, NoSuchSize>>;

/// Numbers that a family doesn't have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoSuchSize {
    /// Which numbers it has.
    pub(super) rule: &'static str,
    /// Its member that comes nearest.
    pub(super) nearest: String,
}

impl Design {
    /// Reads a name.
    pub(super) fn parse(name: &str) -> Result<Self, BackboneError> {
        match Self::read(name) {
            Some(Ok(design)) => Ok(design),
            Some(Err(NoSuchSize { rule, nearest })) => Err(BackboneError::NoSuchSize { name: name.to_owned(), rule, nearest }),
            None => Err(BackboneError::Unknown { name: name.to_owned(), suggestion: most_similar(name) }),
        }
    }

    /// Asks the families in turn. That of the four stages comes before that of the three, which takes any number.
    fn read(name: &str) -> Parsed<Self> {
        fn wrap<D>(parsed: Parsed<D>, design: fn(D) -> Design) -> Parsed<Design> {
            parsed.map(|result| result.map(design))
        }
        wrap(FourStages::parse(name), Self::FourStages)
            .or_else(|| wrap(ThreeStages::parse(name), Self::ThreeStages))
            .or_else(|| wrap(WideResNet::parse(name), Self::WideResNet))
            .or_else(|| wrap(Vgg::parse(name), Self::Vgg))
            .or_else(|| wrap(MobileNetV1::parse(name), Self::MobileNetV1))
            .or_else(|| wrap(MobileNetV2::parse(name), Self::MobileNetV2))
            .or_else(|| wrap(DenseNet::parse(name), Self::DenseNet))
            .or_else(|| wrap(MsdNet::parse(name), Self::MsdNet))
    }

    /// The least side of an input that every halving on the way still shrinks.
    pub(super) const fn least_side(self) -> usize {
        match self {
            Self::ThreeStages(_) => ThreeStages::LEAST_SIDE,
            Self::FourStages(design) => design.least_side(),
            Self::WideResNet(_) => WideResNet::LEAST_SIDE,
            Self::Vgg(_) => Vgg::LEAST_SIDE,
            Self::MobileNetV1(design) => design.least_side(),
            Self::MobileNetV2(design) => design.least_side(),
            Self::DenseNet(_) => DenseNet::LEAST_SIDE,
            Self::MsdNet(design) => design.least_side(),
        }
    }

    /// Puts the backbone together for an input that is large enough.
    pub(super) fn assemble(self, name: &str, input: Shape, n_classes: usize) -> Backbone {
        match self {
            Self::ThreeStages(design) => design.assemble(name, input, n_classes),
            Self::FourStages(design) => design.assemble(name, input, n_classes),
            Self::WideResNet(design) => design.assemble(name, input, n_classes),
            Self::Vgg(design) => design.assemble(name, input, n_classes),
            Self::MobileNetV1(design) => design.assemble(name, input, n_classes),
            Self::MobileNetV2(design) => design.assemble(name, input, n_classes),
            Self::DenseNet(design) => design.assemble(name, input, n_classes),
            Self::MsdNet(design) => design.assemble(name, input, n_classes),
        }
    }
}

/// Reads `numbers` as N whole numbers with `-` between them, written as a program would write them: there is one way to write a name.
pub(super) fn whole_numbers<const N: usize>(numbers: &str) -> Option<[usize; N]> {
    let read: Vec<usize> = numbers.split('-').map(whole_number).collect::<Option<_>>()?;
    read.try_into().ok()
}

fn whole_number(digits: &str) -> Option<usize> {
    digits.parse().ok().filter(|number: &usize| number.to_string() == digits)
}

/// The nearest of `least`, `least + step`, ..., `most`; the smaller of two equally near.
pub(super) fn nearest_step(number: usize, least: usize, step: usize, most: usize) -> usize {
    let number = number.clamp(least, most);
    least + (number - least + (step - 1) / 2) / step * step
}

/// The known name most similar to `name`, if any resembles it at all.
fn most_similar(name: &str) -> Option<String> {
    let spelt = name.to_lowercase().replace(['_', ' '], "-");
    if matches!(Design::read(&spelt), Some(Ok(_))) {
        return Some(spelt);
    }
    suggest(&spelt, NAMED.into_iter()).map(str::to_owned)
}
