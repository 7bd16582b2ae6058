//! Parameters and strict MACs, to the last digit, against what public implementations have.
//!
//! The numbers were counted layer by layer by an independent program, and agree with every published one: the parameters in table 6 of arXiv
//! 1512.03385 (0.27 M, 0.46 M, 0.66 M, 0.85 M, 1.7 M), in table 4 of arXiv 1605.07146 (2.7 M, 8.9 M, 36.5 M) and in table 2 of arXiv 1608.06993
//! (0.8 M), those of torchvision's and chenyaofo's models, and the MACs that both print.

use super::*;

/// Name, parameters and strict MACs with 10 classes, features of the last linear layer; inputs of 3x32x32.
const CIFAR10: [(&str, u64, u64, u64); 32] = [
    ("resnet20", 269_722, 40_551_040, 64),
    ("resnet20-b", 272_474, 40_813_184, 64),
    ("resnet32", 464_154, 68_862_592, 64),
    ("resnet32-b", 466_906, 69_124_736, 64),
    ("resnet56", 853_018, 125_485_696, 64),
    ("resnet56-b", 855_770, 125_747_840, 64),
    ("resnet110", 1_727_962, 252_887_680, 64),
    ("resnet110-b", 1_730_714, 253_149_824, 64),
    ("resnet18", 11_173_962, 555_422_720, 512),
    ("wrn-28-10", 36_479_194, 5_243_328_768, 640),
    ("wrn-34-4", 7_399_130, 1_072_089_600, 256),
    ("wrn-32-4-sdn", 7_404_074, 1_185_335_808, 256),
    ("vgg16-bn", 14_728_266, 313_201_664, 512),
    ("vgg16-bn-nobias", 14_724_042, 313_201_664, 512),
    ("vgg16-bn-fc512", 15_253_578, 313_725_952, 512),
    ("vgg16-bn-fc4096", 33_646_666, 332_111_872, 4_096),
    ("mobilenetv1", 3_217_226, 46_354_432, 1_024),
    ("mobilenetv2", 2_236_682, 87_976_448, 1_280),
    ("mobilenetv2-projection", 2_296_922, 91_154_944, 1_280),
    ("densenet-bc-100-12", 769_162, 287_929_692, 342),
    ("densenet-bc-40-12", 176_122, 72_365_352, 132),
    ("densenet-bc-10-12", 20_902, 9_856_782, 27),
    ("wrn-10-1", 77_850, 12_501_632, 64),
    ("wrn-16-4", 2_748_890, 392_612_352, 256),
    ("wrn-40-4", 8_949_210, 1_298_582_016, 256),
    ("vgg11-bn", 9_231_114, 152_769_536, 512),
    ("vgg13-bn", 9_416_010, 228_267_008, 512),
    ("vgg19-bn", 20_040_522, 398_136_320, 512),
    ("vgg11-bn-fc512", 9_756_426, 153_293_824, 512),
    ("vgg13-bn-fc512", 9_941_322, 228_791_296, 512),
    ("vgg19-bn-fc512", 20_565_834, 398_660_608, 512),
    ("resnet44", 658_586, 97_174_144, 64),
];

#[test]
fn costs_on_cifar10_are_the_published_ones() {
    for (name, params, macs, _) in CIFAR10 {
        let total = build(name, CIFAR, 10).unwrap().total();
        assert_eq!((total.params, total.macs), (params, macs), "{name}");
    }
}

#[test]
fn ninety_classes_more_add_ninety_rows_to_the_last_layer() {
    for (name, params, macs, features) in CIFAR10 {
        let total = build(name, CIFAR, 100).unwrap().total();
        assert_eq!((total.params, total.macs), (params + 90 * (features + 1), macs + 90 * features), "{name}");
    }
}

#[test]
fn four_times_the_positions_take_four_times_the_macs_of_convolutions() {
    for (name, _, macs, features) in CIFAR10.into_iter().filter(|(name, ..)| !name.starts_with("vgg")) {
        let total = build(name, Shape::new(3, 64, 64), 200).unwrap().total();
        assert_eq!(total.macs, 4 * (macs - 10 * features) + 200 * features, "{name}");
    }
}

/// Name, parameters and strict MACs with 1000 classes and inputs of 3x224x224.
const IMAGENET: [(&str, u64, u64); 9] = [
    ("resnet18-imagenet", 11_689_512, 1_814_073_344),
    ("resnet34-imagenet", 21_797_672, 3_663_761_408),
    ("resnet50-imagenet", 25_557_032, 4_089_184_256),
    ("mobilenetv1-imagenet", 4_231_976, 568_740_352),
    ("mobilenetv2-imagenet", 3_504_872, 300_774_272),
    ("vgg11-bn-imagenet", 132_868_840, 7_609_090_048),
    ("vgg13-bn-imagenet", 133_053_736, 11_308_466_176),
    ("vgg16-bn-imagenet", 138_365_992, 15_470_264_320),
    ("vgg19-bn-imagenet", 143_678_248, 19_632_062_464),
];

#[test]
fn costs_on_imagenet_are_the_published_ones() {
    for (name, params, macs) in IMAGENET {
        let total = build(name, Shape::new(3, 224, 224), 1_000).unwrap().total();
        assert_eq!((total.params, total.macs), (params, macs), "{name}");
    }
}

/// Parameters of the whole multi-scale networks with all exits, of the reference implementation; with 100 classes on 3x32x32 and 1000 on 3x224x224.
#[test]
fn multi_scale_networks_have_the_parameters_of_their_reference() {
    let with_exits = |name: &str, input: Shape, n_classes: usize| {
        let backbone = build(name, input, n_classes).unwrap();
        let running = backbone.cumulative();
        let exits = backbone.own_exits.iter().map(|exit| summarise(&exit.layers, running[exit.unit].output).params).sum::<u64>();
        backbone.total().params + exits
    };
    assert_eq!(with_exits("msdnet-10-4-2", CIFAR, 100), 4_955_644);
    assert_eq!(with_exits("msdnet-7-4-2", CIFAR, 100), 3_067_960);
    assert_eq!(with_exits("msdnet-5-1-1-linear", CIFAR, 100), 2_078_924);
    let large = Shape::new(3, 224, 224);
    assert_eq!(with_exits("msdnet-5-4-4-imagenet", large, 1_000), 23_958_440);
    assert_eq!(with_exits("msdnet-5-7-7-imagenet", large, 1_000), 62_314_472);

    let backbone = build("msdnet-10-4-2", CIFAR, 100).unwrap();
    let first = &backbone.own_exits[0];
    let trunk = backbone.cumulative()[first.unit];
    assert_eq!(trunk.params + summarise(&first.layers, trunk.output).params, 433_876);
}

/// Strict MACs up to the first and the last exit of the reference on CIFAR-100, in thousands; all exits before are paid.
#[test]
fn multi_scale_networks_have_the_strict_macs_of_their_reference() {
    let costs = crate::convention::Convention::Strict.own_exits(&build("msdnet-10-4-2", CIFAR, 100).unwrap());
    assert_eq!((costs.len(), (costs[0] + 500) / 1_000, (costs[9] + 500) / 1_000), (10, 14_967, 121_087));
}
