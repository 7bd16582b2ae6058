use super::*;
use crate::backbone::build;

const CIFAR: Shape = Shape::new(3, 32, 32);

fn at(name: &str, fractions: &[f64]) -> Result<Vec<usize>, ExitsError> {
    let backbone = build(name, CIFAR, 10).unwrap();
    let points = place(&backbone, &ExitPlacement::Fractions(fractions.to_vec()))?;
    Ok(points.into_iter().map(|point| point.unit).collect())
}

#[test]
fn stage_ends_are_the_last_units_of_all_three_stages() {
    let points = place(&build("resnet20", CIFAR, 10).unwrap(), &ExitPlacement::StageEnds).unwrap();
    let point = |unit, channels, side| AttachPoint { unit, shape: Shape::new(channels, side, side) };
    assert_eq!(points, [point(3, 16, 32), point(6, 32, 16), point(9, 64, 8)]);
}

/// The exits of shallow-deep ResNet-56, which follow blocks 4, 8, 12, 16, 20 and 24, counting the stem as block 0.
#[test]
fn resnet56_exits_at_sdn_fractions_follow_the_blocks_of_sdn() {
    let wanted = [0.15, 0.30, 0.45, 0.60, 0.75, 0.90];
    for name in ["resnet56", "resnet56-b"] {
        assert_eq!(at(name, &wanted).unwrap(), [4, 8, 12, 16, 20, 24], "{name}");
    }
    let backbone = build("resnet56-b", CIFAR, 10).unwrap();
    let running = backbone.cumulative();
    for (unit, fraction) in [(4, 0.154), (8, 0.304), (12, 0.446), (16, 0.596), (20, 0.737), (24, 0.887)] {
        let is = running[unit].macs as f64 / backbone.total().macs as f64;
        assert!((is - fraction).abs() < 6e-4, "unit {unit} ends at {is}");
    }
}

/// The exits of shallow-deep VGG-16 follow convolutions 2, 4, 6, 7, 9 and 10 of 13, counting from 1: units 1, 3, 5, 6, 8 and 9.
#[test]
fn vgg16_exits_at_sdn_fractions_follow_the_convolutions_of_sdn() {
    let wanted = [0.15, 0.30, 0.45, 0.60, 0.75, 0.90];
    assert_eq!(at("vgg16-bn-fc512", &wanted).unwrap(), [1, 3, 5, 6, 8, 9]);
    let backbone = build("vgg16-bn-fc512", CIFAR, 10).unwrap();
    let running = backbone.cumulative();
    for (unit, fraction) in [(1, 0.126), (3, 0.306), (5, 0.487), (6, 0.607), (8, 0.788), (9, 0.908)] {
        let is = running[unit].macs as f64 / backbone.total().macs as f64;
        assert!((is - fraction).abs() < 6e-4, "unit {unit} ends at {is}");
    }
}

/// The exits of shallow-deep WRN-32-4 follow its blocks 3, 5, ..., 13, counting the first one after the stem as 1.
#[test]
fn wide_resnet_exits_at_sdn_fractions_follow_the_blocks_of_sdn() {
    assert_eq!(at("wrn-32-4-sdn", &[0.15, 0.30, 0.45, 0.60, 0.75, 0.90]).unwrap(), [3, 5, 7, 9, 11, 13]);
}

/// The published exits of MobileNet follow blocks 3, 5, 7, 9 and 12 instead, which is at other fractions: its operations were counted as if no
/// convolution had groups.
#[test]
fn mobilenet_exits_at_sdn_fractions_are_not_the_ones_of_sdn() {
    assert_eq!(at("mobilenetv1", &[0.15, 0.30, 0.45, 0.60, 0.75, 0.90]).unwrap(), [2, 4, 7, 8, 10, 12]);
    let backbone = build("mobilenetv1", CIFAR, 10).unwrap();
    let running = backbone.cumulative();
    for (unit, fraction) in [(3, 0.216), (5, 0.357), (7, 0.495), (9, 0.679), (12, 0.909)] {
        let is = running[unit].macs as f64 / backbone.total().macs as f64;
        assert!((is - fraction).abs() < 6e-4, "unit {unit} ends at {is}");
    }
}

#[test]
fn the_nearest_unit_may_be_the_stem_or_the_last() {
    // Units of resnet8 at 32 pixels end at 0.0361, 0.4217, 0.7108 and 0.9999: 442,368 MACs, 4,718,592 and twice 3,538,944, with 640 in the head.
    assert_eq!(at("resnet8", &[0.001, 0.999]).unwrap(), [0, 3]);
    // Half way between the first two is 0.2289.
    assert_eq!(at("resnet8", &[0.228, 0.5]).unwrap(), [0, 1]);
    assert_eq!(at("resnet8", &[0.230, 0.6]).unwrap(), [1, 2]);
}

#[test]
fn of_two_units_equally_near_the_earlier_one_is_taken() {
    assert_eq!(nearest(0.375, &[0.25, 0.5, 0.75]), 0);
    assert_eq!(nearest(0.376, &[0.25, 0.5, 0.75]), 1);
}

#[test]
fn fractions_that_meet_at_one_unit_are_refused_with_both_and_the_unit() {
    let refused = at("resnet8", &[0.4, 0.5]).unwrap_err();
    assert_eq!(refused.to_string(), "exits at 0.4 and 0.5 of the backbone's MACs would both follow unit 1, which ends at 0.422");
    assert_eq!(refused.hint(), "leave one out, or move one: the neighbouring units end at 0.036 and 0.711");
}

#[test]
fn units_are_taken_as_they_are_where_the_backbone_has_them() {
    let backbone = build("resnet20", CIFAR, 10).unwrap();
    let units = |units: &[u32]| place(&backbone, &ExitPlacement::Units(units.to_vec()));
    let placed: Vec<usize> = units(&[0, 5, 9]).unwrap().into_iter().map(|point| point.unit).collect();
    assert_eq!(placed, [0, 5, 9]);
    assert_eq!(units(&[]), Err(ExitsError::NoUnits));
    assert_eq!(units(&[5, 3]), Err(ExitsError::UnitsNotRising { first: 5, second: 3 }));
    let refused = units(&[3, 10]).unwrap_err();
    assert_eq!(refused.to_string(), "no exit can follow unit 10: the backbone has units 0 to 9");
    assert_eq!(refused.hint(), "unit 0 is the stem, and stages end with units 3, 6, 9");
    assert_eq!(place(&backbone, &ExitPlacement::Own), Err(ExitsError::NoOwn("resnet20".to_owned())));
}

#[test]
fn fractions_outside_the_backbone_or_out_of_order_are_refused() {
    assert_eq!(at("resnet20", &[]), Err(ExitsError::None));
    for outside in [0.0, 1.0, -0.5, 1.5, f64::INFINITY] {
        assert_eq!(at("resnet20", &[outside]), Err(ExitsError::OutOfRange(outside)));
    }
    assert!(matches!(at("resnet20", &[0.5, f64::NAN]), Err(ExitsError::OutOfRange(nan)) if nan.is_nan()));
    assert_eq!(at("resnet20", &[0.6, 0.3]), Err(ExitsError::NotRising { first: 0.6, second: 0.3 }));
    assert_eq!(at("resnet20", &[0.3, 0.3]), Err(ExitsError::NotRising { first: 0.3, second: 0.3 }));
}
