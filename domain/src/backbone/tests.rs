use super::*;

mod document;
mod golden;
mod stages;

const CIFAR: Shape = Shape::new(3, 32, 32);

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

/// Layers with weights on the longest way through a unit, which is what names count; not those on a shortcut.
fn n_weighted(unit: &Unit) -> usize {
    let count = |layers: &[Layer]| layers.iter().filter(|layer| matches!(layer, Layer::Conv2d(_) | Layer::Linear { .. })).count();
    match unit {
        Unit::Sequence(layers) | Unit::Residual { body: layers, .. } => count(layers),
        Unit::Joined(maps) => maps.iter().flat_map(|map| &map.parts).map(|part| count(&part.layers)).max().unwrap_or(0),
    }
}

#[test]
fn networks_have_the_depth_of_their_name() {
    let check = |name: &str, depth: usize| {
        let backbone = build(name, CIFAR, 10).unwrap();
        let head = Unit::Sequence(backbone.head.clone());
        assert_eq!(backbone.units.iter().chain([&head]).map(n_weighted).sum::<usize>(), depth, "{name}");
        assert_eq!(backbone.name, name);
    };
    for depth in (8..=110).step_by(6) {
        check(&format!("resnet{depth}"), depth);
        check(&format!("resnet{depth}-b"), depth);
    }
    for (name, depth) in [("resnet18", 18), ("resnet34", 34), ("resnet50-imagenet", 50)] {
        check(name, depth);
    }
    for depth in [10, 16, 28, 64] {
        // Three convolutions on shortcuts are counted, and the classifier is not.
        check(&format!("wrn-{depth}-2"), depth - 2);
        check(&format!("densenet-bc-{depth}-12"), depth);
    }
    for depth in [11, 13, 16, 19] {
        // Two of three linear layers are left out.
        check(&format!("vgg{depth}-bn"), depth - 2);
        check(&format!("vgg{depth}-bn-fc512"), depth);
        check(&format!("vgg{depth}-bn-imagenet"), depth);
    }
}

#[test]
fn unknown_names_get_the_most_similar_known_one() {
    let suggestion = |name: &str| match build(name, CIFAR, 10).unwrap_err() {
        BackboneError::Unknown { suggestion, .. } => suggestion,
        other => panic!("{other}"),
    };
    assert_eq!(suggestion("resnet-56").as_deref(), Some("resnet56"));
    assert_eq!(suggestion("ResNet110").as_deref(), Some("resnet110"));
    assert_eq!(suggestion("resnet56_b").as_deref(), Some("resnet56-b"));
    assert_eq!(suggestion("renset20").as_deref(), Some("resnet20"));
    assert_eq!(suggestion("wrn28-10").as_deref(), Some("wrn-28-10"));
    assert_eq!(suggestion("WRN-22_7").as_deref(), Some("wrn-22-7"));
    assert_eq!(suggestion("vgg16").as_deref(), Some("vgg16-bn"));
    assert_eq!(suggestion("densenet-100-12").as_deref(), Some("densenet-bc-100-12"));
    assert_eq!(suggestion("mobilenet-v2").as_deref(), Some("mobilenetv2"));
    assert_eq!(suggestion("resnet50-imagnet").as_deref(), Some("resnet50-imagenet"));
    assert_eq!(suggestion("lenet-5"), None);
    for odd in [
        "",
        "-b",
        "resnet",
        "resnet020",
        "resnet+20",
        "resnet20-b-b",
        "resnet 20",
        "wrn-28",
        "wrn-28-10-2",
        "wrn--10",
        "vgg-bn",
        "msdnet-5-4",
    ] {
        assert!(matches!(build(odd, CIFAR, 10), Err(BackboneError::Unknown { .. })), "{odd}");
    }
}

#[test]
fn numbers_that_a_family_does_not_have_get_the_nearest_that_it_has() {
    let check = |name: &str, rule: &str, nearest: &str| {
        let error = build(name, CIFAR, 10).unwrap_err();
        assert_eq!(error.to_string(), format!("no backbone is called `{name}`: {rule}"));
        assert_eq!(error.hint(), format!("did you mean `{nearest}`?"));
        check_name(nearest).unwrap();
    };
    let rule = "residual networks of three stages have 6n + 2 layers, from 8 to 110";
    for (name, nearest) in [("resnet21", "resnet20"), ("resnet24-b", "resnet26-b"), ("resnet2", "resnet8"), ("resnet1202", "resnet110")] {
        check(name, rule, nearest);
    }
    // Half way between two.
    check("resnet23", rule, "resnet20");
    let rule = "wide residual networks have 6n + 4 layers, from 10 to 64, and a width from 1 to 16";
    for (name, nearest) in [("wrn-27-10", "wrn-28-10"), ("wrn-28-0", "wrn-28-1"), ("wrn-32-4", "wrn-34-4"), ("wrn-99-99", "wrn-64-16")] {
        check(name, rule, nearest);
    }
    let rule = "VGG networks have 11, 13, 16 or 19 layers";
    for (name, nearest) in [("vgg17-bn", "vgg16-bn"), ("vgg20-bn-fc512", "vgg19-bn-fc512")] {
        check(name, rule, nearest);
    }
    let rule = "densely connected networks have 6n + 4 layers, from 10 to 250, and a growth from 1 to 48";
    check("densenet-bc-99-12", rule, "densenet-bc-100-12");
    check("densenet-bc-100-50", rule, "densenet-bc-100-48");
    let rule = "multi-scale networks have 2 to 20 blocks, of 1 to 16 layers in the first and 1 to 16 in each other";
    check("msdnet-1-4-2", rule, "msdnet-2-4-2");
    check("msdnet-21-0-17-linear", rule, "msdnet-20-1-16-linear");
}

#[test]
fn every_form_of_a_name_is_told_to_whoever_asks_for_none() {
    let hint = build("lenet-5", CIFAR, 10).unwrap_err().hint();
    for part in ["`resnetD`", "`wrn-D-K`", "`vggD-bn`", "`mobilenetv2-projection`", "`densenet-bc-D-K`", "`msdnet-N-B-S`"] {
        assert!(hint.contains(part), "{part} in {hint}");
    }
}

#[test]
fn small_inputs_are_refused_with_the_least_side() {
    let refused = build("resnet8", Shape::new(1, 32, 3), 10).unwrap_err();
    assert_eq!(refused.to_string(), "`resnet8` cannot take an input of 1x32x3: its sides must be at least 4");
    assert_eq!(refused.hint(), "choose a dataset with images of at least 4x4");
    // Halvings on the way, counted by hand.
    let halvings = [
        ("resnet20", 2),
        ("resnet18", 3),
        ("resnet50-imagenet", 5),
        ("wrn-16-4", 2),
        ("wrn-32-4-sdn", 2),
        ("vgg11-bn", 5),
        ("vgg16-bn-imagenet", 5),
        ("mobilenetv1", 4),
        ("mobilenetv1-imagenet", 5),
        ("mobilenetv2", 3),
        ("mobilenetv2-imagenet", 5),
        ("densenet-bc-40-12", 2),
        ("msdnet-5-1-1-linear", 4),
        ("msdnet-5-4-4-imagenet", 7),
    ];
    for (name, n_halvings) in halvings {
        let least = 1 << n_halvings;
        let refused = build(name, Shape::new(3, least - 1, 224), 10).unwrap_err();
        assert!(matches!(refused, BackboneError::InputTooSmall { least: told, .. } if told == least), "{name}: {refused}");
        assert!(build(name, Shape::new(3, least, least), 10).is_ok(), "{name}");
    }
}

#[test]
fn every_name_takes_grey_and_coloured_inputs_of_every_side() {
    for name in names() {
        let mut n_built = 0;
        for side in 8..=224 {
            for channels in [1, 3] {
                let Ok(backbone) = build(name, Shape::new(channels, side, side + side % 3), 7) else { continue };
                n_built += 1;
                check_consistency(&backbone);
            }
        }
        // Whatever takes a side takes every larger one.
        let least = Design::parse(name).unwrap().least_side().max(8);
        assert_eq!(n_built, 2 * (225 - least), "{name}");
    }
}

/// Every layer is given the channels that it is for, every window fits, sums and joined parts have one shape, and all classifiers tell 7 classes apart.
fn check_consistency(backbone: &Backbone) {
    let name = format!("{} on {}", backbone.name, backbone.input);
    let see = &mut |layer: Layer, input: Shape| {
        let fits = match layer {
            Layer::Conv2d(conv) => {
                let fits = input.height.min(input.width) + 2 * conv.padding >= conv.kernel;
                fits && conv.inputs == input.channels && conv.inputs % conv.groups == 0 && conv.outputs % conv.groups == 0
            }
            Layer::MaxPool { kernel, padding, .. } => input.height.min(input.width) + 2 * padding >= kernel && 2 * padding <= kernel,
            Layer::AveragePool { kernel, .. } => input.height.min(input.width) >= kernel,
            Layer::BatchNorm { channels } => channels == input.channels,
            Layer::Linear { inputs, .. } => inputs == input.channels * input.positions(),
            Layer::Relu | Layer::Relu6 | Layer::GlobalAveragePool => true,
        };
        assert!(fits, "{name}: {layer:?} is given {input}");
    };
    let mut maps = vec![backbone.input];
    for (index, unit) in backbone.units.iter().enumerate() {
        let outputs = unit.visit(&maps, see);
        match unit {
            Unit::Sequence(_) => assert_eq!(outputs.len(), 1),
            Unit::Residual { before, body, shortcut, .. } => {
                let input = summarise(before, maps[0]).output;
                assert_eq!(way_round(shortcut, input), summarise(body, input).output, "{name}: unit {index}");
            }
            Unit::Joined(joined) => {
                for (map, output) in joined.iter().zip(&outputs) {
                    for part in &map.parts {
                        let shape = summarise(&part.layers, part.from.of(&maps, &outputs)).output;
                        assert_eq!((shape.height, shape.width), (output.height, output.width), "{name}: unit {index}");
                    }
                }
            }
        }
        for exit in backbone.own_exits.iter().filter(|exit| exit.unit == index) {
            assert_eq!(layer::visit(&exit.layers, *outputs.last().unwrap(), see), Shape::new(7, 1, 1), "{name}");
        }
        maps = outputs;
    }
    assert_eq!(layer::visit(&backbone.head, *maps.last().unwrap(), see), Shape::new(7, 1, 1), "{name}");
}

fn way_round(shortcut: &Shortcut, input: Shape) -> Shape {
    match shortcut {
        Shortcut::Identity => input,
        Shortcut::PadSubsample { stride, pad } => {
            Shape::new(input.channels + 2 * pad, input.height.div_ceil(*stride), input.width.div_ceil(*stride))
        }
        Shortcut::Projection(layers) => summarise(layers, input).output,
    }
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
