use super::*;

fn ends(name: &str, input: Shape) -> Vec<(usize, Shape)> {
    let backbone = build(name, input, 10).unwrap();
    let running = backbone.cumulative();
    backbone.stage_ends.iter().map(|unit| (*unit, running[*unit].output)).collect()
}

const fn square(channels: usize, side: usize) -> Shape {
    Shape::new(channels, side, side)
}

#[test]
fn stages_end_where_the_maps_size_does() {
    let large = Shape::new(3, 224, 224);
    let check = |name: &str, input: Shape, expected: &[(usize, Shape)]| assert_eq!(ends(name, input), expected, "{name}");
    check("resnet20", CIFAR, &[(3, square(16, 32)), (6, square(32, 16)), (9, square(64, 8))]);
    check("resnet18", CIFAR, &[(2, square(64, 32)), (4, square(128, 16)), (6, square(256, 8)), (8, square(512, 4))]);
    check("resnet50-imagenet", large, &[(3, square(256, 56)), (7, square(512, 28)), (13, square(1024, 14)), (16, square(2048, 7))]);
    check("wrn-28-10", CIFAR, &[(4, square(160, 32)), (8, square(320, 16)), (12, square(640, 8))]);
    let vgg = [(1, square(64, 32)), (3, square(128, 16)), (6, square(256, 8)), (9, square(512, 4)), (12, square(512, 2))];
    check("vgg16-bn", CIFAR, &vgg);
    let mobile = [(1, square(64, 32)), (3, square(128, 16)), (5, square(256, 8)), (11, square(512, 4)), (13, square(1024, 2))];
    check("mobilenetv1", CIFAR, &mobile);
    check("mobilenetv2", CIFAR, &[(3, square(24, 32)), (6, square(32, 16)), (13, square(96, 8)), (17, square(320, 4))]);
    // 6 layers a block: 24 + 72 = 96 channels, then 48 + 72, then 60 + 72.
    check("densenet-bc-40-12", CIFAR, &[(6, square(96, 32)), (13, square(120, 16)), (20, square(132, 8))]);
}

#[test]
fn stages_of_multi_scale_networks_are_their_blocks() {
    // 4 layers and nine times 2, each of 6 channels, all times the factor of the coarsest map, 4. Of 22 layers each scale but the last lives for 8, so
    // the 9th and the 17th give one up and halve 16 + 9 * 6 = 70 to 35 and 35 + 8 * 6 = 83 to 41.
    let backbone = build("msdnet-10-4-2", CIFAR, 10).unwrap();
    let channels: Vec<usize> = ends("msdnet-10-4-2", CIFAR).iter().map(|(_, shape)| shape.channels).collect();
    assert_eq!(channels, [40, 52, 64, 41, 53, 65, 77, 47, 59, 71].map(|of_factor_one| 4 * of_factor_one));
    assert!(ends("msdnet-10-4-2", CIFAR).iter().all(|(_, shape)| shape.height == 8));
    let own: Vec<usize> = backbone.own_exits.iter().map(|exit| exit.unit).collect();
    assert_eq!(own, backbone.stage_ends[..9]);
}

#[test]
fn every_backbone_ends_its_last_stage_with_its_last_unit() {
    for name in names() {
        let backbone = build(name, Shape::new(3, 128, 128), 10).unwrap();
        assert_eq!(backbone.stage_ends.last(), Some(&(backbone.units.len() - 1)), "{name}");
        assert!(backbone.stage_ends.is_sorted_by(|a, b| a < b), "{name}");
        assert!(backbone.own_exits.is_sorted_by(|a, b| a.unit < b.unit), "{name}");
    }
}
