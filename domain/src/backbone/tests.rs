use super::*;

const CIFAR: Shape = Shape::new(3, 32, 32);

/// Parameters and strict MACs with 10 classes. Parameters are those of the published CIFAR models (0.27 M, 0.46 M, 0.85 M and 1.7 M in table 6 of
/// arXiv 1512.03385), counted layer by layer by an independent program.
const PUBLISHED: [(&str, u64, u64); 8] = [
    ("resnet20", 269_722, 40_551_040),
    ("resnet20-b", 272_474, 40_813_184),
    ("resnet32", 464_154, 68_862_592),
    ("resnet32-b", 466_906, 69_124_736),
    ("resnet56", 853_018, 125_485_696),
    ("resnet56-b", 855_770, 125_747_840),
    ("resnet110", 1_727_962, 252_887_680),
    ("resnet110-b", 1_730_714, 253_149_824),
];

#[test]
fn costs_on_cifar10_are_the_published_ones() {
    for (name, params, macs) in PUBLISHED {
        let total = build(name, CIFAR, 10).unwrap().total();
        assert_eq!((total.params, total.macs), (params, macs), "{name}");
        assert_eq!(total.output, Shape::new(10, 1, 1), "{name}");
    }
}

#[test]
fn cifar100_adds_ninety_rows_to_the_head() {
    for (name, params, macs) in PUBLISHED {
        let total = build(name, CIFAR, 100).unwrap().total();
        assert_eq!((total.params, total.macs), (params + 90 * 65, macs + 90 * 64), "{name}");
    }
}

#[test]
fn resnet8_on_digits_matches_a_hand_count() {
    let backbone = build("resnet8", Shape::new(1, 8, 8), 10).unwrap();
    let running = backbone.cumulative();
    let shapes: Vec<Shape> = running.iter().map(|so_far| so_far.output).collect();
    assert_eq!(shapes, [Shape::new(16, 8, 8), Shape::new(16, 8, 8), Shape::new(32, 4, 4), Shape::new(64, 2, 2)]);
    // Stem 9*1*16*64; unit 1 twice 9*16*16*64; units 2 and 3 each 9*C*2C*P plus 9*2C*2C*P at a quarter of the positions.
    let macs: Vec<u64> = running.iter().map(|so_far| so_far.macs).collect();
    assert_eq!(macs, [9_216, 9_216 + 294_912, 304_128 + 221_184, 525_312 + 221_184]);
    assert_eq!(backbone.total().macs, 746_496 + 640);
    assert_eq!(backbone.total().params, 75_002);
}

#[test]
fn every_name_builds_a_network_of_its_depth() {
    for name in names() {
        let backbone = build(&name, CIFAR, 10).unwrap();
        let depth: usize = name.trim_start_matches("resnet").trim_end_matches("-b").parse().unwrap();
        let is_weighted = |layer: &&Layer| matches!(layer, Layer::Conv2d(_) | Layer::Linear { .. });
        let weighted = |unit: &Unit| match unit {
            Unit::Sequence(layers) | Unit::Residual { body: layers, .. } => layers.iter().filter(is_weighted).count(),
            Unit::Joined(_) => panic!("{name} joins maps"),
        };
        // Convolutions on the shortcut do not count towards the depth.
        assert_eq!(backbone.units.iter().map(weighted).sum::<usize>() + 1, depth, "{name}");
        assert_eq!(backbone.name, name);
        let per_stage = (depth - 2) / 6;
        assert_eq!(backbone.stage_ends, [per_stage, 2 * per_stage, 3 * per_stage], "{name}");
        let ends: Vec<Shape> = backbone.stage_ends.iter().map(|unit| backbone.cumulative()[*unit].output).collect();
        assert_eq!(ends, [Shape::new(16, 32, 32), Shape::new(32, 16, 16), Shape::new(64, 8, 8)], "{name}");
    }
}

#[test]
fn shortcuts_lead_to_the_shape_of_the_body() {
    // An odd side shows where subsampling and strided convolution could round differently.
    for (name, side) in [("resnet14", 9), ("resnet14-b", 9), ("resnet14", 4), ("resnet14-b", 7)] {
        let backbone = build(name, Shape::new(3, side, side), 10).unwrap();
        let mut input = backbone.input;
        for unit in &backbone.units {
            let output = unit.summarise(&[input]).maps[0];
            if let Unit::Residual { shortcut, .. } = unit {
                let around = match shortcut {
                    Shortcut::Identity => input,
                    Shortcut::PadSubsample { stride, pad } => {
                        Shape::new(input.channels + 2 * pad, input.height.div_ceil(*stride), input.width.div_ceil(*stride))
                    }
                    Shortcut::Projection(layers) => summarise(layers, input).output,
                };
                assert_eq!(around, output, "{name} at {side}");
            }
            input = output;
        }
    }
}

#[test]
fn unknown_names_get_the_most_similar_known_one() {
    let suggestion = |name: &str| match build(name, CIFAR, 10).unwrap_err() {
        BackboneError::Unknown { suggestion, .. } => suggestion,
        other @ BackboneError::InputTooSmall { .. } => panic!("{other}"),
    };
    assert_eq!(suggestion("resnet-56").as_deref(), Some("resnet56"));
    assert_eq!(suggestion("ResNet110").as_deref(), Some("resnet110"));
    assert_eq!(suggestion("resnet56_b").as_deref(), Some("resnet56-b"));
    assert_eq!(suggestion("renset20").as_deref(), Some("resnet20"));
    assert_eq!(suggestion("vgg16-bn"), None);
    for odd in ["", "-b", "resnet", "resnet020", "resnet+20", "resnet20-b-b", "resnet 20"] {
        assert!(build(odd, CIFAR, 10).is_err(), "{odd}");
    }
}

#[test]
fn small_inputs_are_refused_with_the_least_side() {
    let refused = build("resnet8", Shape::new(1, 32, 3), 10).unwrap_err();
    assert_eq!(refused.to_string(), "`resnet8` cannot take an input of 1x32x3: its sides must be at least 4");
    let last = build("resnet8", Shape::new(1, 4, 4), 10).unwrap().cumulative().pop().unwrap();
    assert_eq!(last.output, Shape::new(64, 1, 1));
}

#[test]
fn residual_units_pay_for_what_comes_before_and_after_and_for_both_ways() {
    let norm = |channels| Layer::BatchNorm { channels };
    let unit = Unit::Residual {
        before: vec![norm(16), Layer::Relu],
        body: vec![Layer::conv3x3(16, 32, 2), norm(32), Layer::Relu, Layer::conv3x3(32, 32, 1)],
        shortcut: Shortcut::Projection(vec![Layer::conv1x1(16, 32, 2)]),
        after: vec![norm(32)],
    };
    let expected =
        UnitSummary { maps: vec![Shape::new(32, 4, 4)], macs: (4_608 + 9_216 + 512) * 16, params: 32 + 4_608 + 64 + 9_216 + 512 + 64 };
    assert_eq!(unit.summarise(&[Shape::new(16, 8, 8)]), expected);
}

#[test]
fn joined_maps_are_as_wide_as_their_parts_together() {
    // Two maps in; the first grows by 6 channels, the second by 2 made from the first and 3 made from itself; a third is made from the new second.
    let unit = Unit::Joined(vec![
        JoinedMap { parts: vec![Part::of_input(0, vec![]), Part::of_input(0, vec![Layer::conv3x3(4, 6, 1)])] },
        JoinedMap {
            parts: vec![
                Part::of_input(1, vec![]),
                Part::of_input(0, vec![Layer::conv3x3(4, 2, 2)]),
                Part::of_input(1, vec![Layer::conv1x1(8, 3, 1)]),
            ],
        },
        JoinedMap { parts: vec![Part::of_output(1, vec![Layer::conv1x1(13, 5, 2)])] },
    ]);
    let expected = UnitSummary {
        maps: vec![Shape::new(10, 8, 8), Shape::new(13, 4, 4), Shape::new(5, 2, 2)],
        macs: 216 * 64 + 72 * 16 + 24 * 16 + 65 * 4,
        params: 216 + 72 + 24 + 65,
    };
    assert_eq!(unit.summarise(&[Shape::new(4, 8, 8), Shape::new(8, 4, 4)]), expected);
}
