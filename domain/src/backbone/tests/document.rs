//! The page that lists all backbones, written by the code that builds them. What it says of costs is held to published numbers in `golden.rs`.

use std::fmt::Write as _;

use expect_test::expect_file;

use super::*;
use crate::convention::Convention;

const LARGE: Shape = Shape::new(3, 224, 224);

#[test]
fn the_page_of_backbones_says_what_is_built() {
    let mut page = String::from(INTRODUCTION);
    let is_large = |name: &str| name.ends_with("-imagenet");
    page.push_str("\n## Networks for small images\n\nWith inputs of 3x32x32 and 10 classes.\n\n");
    costs(&mut page, names().filter(|name| !is_large(name)), CIFAR, 10);
    page.push_str("\n## Networks for large images\n\nWith inputs of 3x224x224 and 1000 classes.\n\n");
    costs(&mut page, names().filter(|name| is_large(name)), LARGE, 1_000);
    page.push_str(OWN_EXITS);
    for name in names().filter(|name| name.starts_with("msdnet")) {
        let (input, n_classes) = if is_large(name) { (LARGE, 1_000) } else { (CIFAR, 100) };
        own_exits(&mut page, &build(name, input, n_classes).unwrap());
    }
    expect_file!["../../../../docs/BACKBONES.md"].assert_eq(&page);
}

fn costs(page: &mut String, names: impl Iterator<Item = &'static str>, input: Shape, n_classes: usize) {
    page.push_str("| name | parameters | MACs | units | stages end after unit | least side |\n|---|--:|--:|--:|---|--:|\n");
    for name in names {
        let backbone = build(name, input, n_classes).unwrap();
        let total = backbone.total();
        let ends: Vec<String> = backbone.stage_ends.iter().map(ToString::to_string).collect();
        let (params, macs, n_units) = (grouped(total.params), grouped(total.macs), backbone.units.len());
        let least = Design::parse(name).unwrap().least_side();
        writeln!(page, "| `{name}` | {params} | {macs} | {n_units} | {} | {least} |", ends.join(", ")).unwrap();
    }
}

fn own_exits(page: &mut String, backbone: &Backbone) {
    let running = backbone.cumulative();
    let exits = backbone.own_exits.iter().map(|exit| summarise(&exit.layers, running[exit.unit].output).params).sum::<u64>();
    let params = grouped(backbone.total().params + exits);
    let of_each = |convention: Convention| {
        let costs = convention.own_exits(backbone).into_iter().map(|cost| format!("{:.3}", cost as f64 / 1e6));
        costs.collect::<Vec<_>>().join(" ")
    };
    let (strict, theirs) = (of_each(Convention::Strict), of_each(Convention::MultiScale));
    writeln!(page, "| `{}` | {params} | {strict} | {theirs} |", backbone.name).unwrap();
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

const INTRODUCTION: &str = "# Backbones

This page is written by a test from the code that builds the networks; `UPDATE_EXPECT=1 cargo test -p offramp-domain` writes it anew.
Costs are strict multiply-accumulates per image (convolutions and linear layers, bias excluded) and trainable parameters, the final classifier included.
Another test holds them to the numbers of public implementations, to the last digit.

Names with numbers in them stand for whole families:

| name | numbers |
|---|---|
| `resnetD`, `resnetD-b` | D = 8, 14, ..., 110 layers; shortcuts of option A, with `-b` of option B |
| `wrn-D-K` | D = 10, 16, ..., 64 layers, K = 1 to 16 times as wide |
| `vggD-bn` and its suffixes | D = 11, 13, 16, 19 layers |
| `densenet-bc-D-K` | D = 10, 16, ..., 250 layers, growth K = 1 to 48 |
| `msdnet-N-B-S` | N = 2 to 20 blocks, B = 1 to 16 layers in the first and S = 1 to 16 in each other; with `-linear`, S k + 1 in the k-th other |

Suffixes of VGG: plain, convolutions have biases and one linear layer classifies; `-nobias`, without biases; `-fc512` and `-fc4096`, with two hidden linear layers of so many features; `-imagenet`, the same with 4096 on the map of 7x7.
`mobilenetv2-projection` adds something on every unit of stride 1, by a projection where the channels change, and rectifies without a limit.
`wrn-32-4-sdn` is the variant of shallow-deep networks: five units a stage, biases, and the stride on the second convolution.
No network has dropout.

An input needs the least side in both directions: with a smaller one a halving would find nothing left to halve, and the network is refused when the sweep is submitted.
Exits may follow any unit; the first, the stem, is unit 0.
";

const OWN_EXITS: &str = "
## Multi-scale networks with their own exits

All exits together, with 100 classes for small images and 1000 for large ones.
An exit's cost is that of everything up to its answer, earlier exits included, in millions: strict MACs, and operations as these networks' literature counts them.

| name | parameters | strict MACs of each exit | operations of each exit |
|---|--:|---|---|
";
