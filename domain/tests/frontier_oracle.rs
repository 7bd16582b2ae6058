//! Frontiers, hypervolumes, indicators and attainment surfaces of a thousand sets of points, against programs that share nothing with ours:
//! moocore (in C) and pymoo. `tests/python/frontier_oracle.py` computes and compares; this side draws the sets and says what it makes of them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use offramp_domain::frontier::indicators::{epsilon_additive, epsilon_multiplicative, igd_plus};
use offramp_domain::frontier::{Point, attainment, hypervolume, hypervolume_3d, non_dominated};
use serde_json::json;

const N_SETS: u64 = 1_000;
/// The first of each kind is that large.
const N_LARGE: usize = 100_000;

/// A stream of random numbers: `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014).
struct Chance(u64);

impl Chance {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to 1.
    fn share(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.draw() % limit as u64) as usize
    }
}

/// Draws a point.
type Draw = fn(&mut Chance, f64, f64) -> [f64; 3];

/// How the points of a set lie: cost, accuracy and a third coordinate, of which less is better. `i` of `n` is the point's number.
const KINDS: &[(&str, Draw)] = &[
    ("anywhere", |chance, _, _| [chance.share(), chance.share(), chance.share()]),
    ("operating points", |chance, _, _| {
        let macs = (chance.share() * 4e7).round() + 14e6;
        [macs, ((0.9 - 1e6 / macs * chance.share()) * 1e4).round() / 1e4, (chance.share() * 3e5).round()]
    }),
    ("few values", |chance, _, _| [0.0; 3].map(|_| (chance.share() * 8.0).floor() + 1.0)),
    ("one cost", |chance, _, _| [7.0, (chance.share() * 100.0).ceil(), chance.share()]),
    ("one accuracy", |chance, _, _| [(chance.share() * 100.0).ceil(), 0.7, chance.share()]),
    ("one point", |_, _, _| [2.0, 0.5, 3.0]),
    ("line, all on the frontier", |_, i, n| [1.0 + i, 1.0 + i, n - i]),
    ("line through a third, ends first", |_, i, n| {
        let i = if i % 2.0 == 0.0 { i } else { n - i };
        [(1.0 + i) / 3.0, (1.0 + i) / 7.0, (1.0 + n - i) / 9.0]
    }),
    ("bulging, all on the frontier", |chance, _, _| {
        let angle = chance.share() * std::f64::consts::FRAC_PI_2;
        let tilt = chance.share() * std::f64::consts::FRAC_PI_2;
        [2.0 - angle.cos() * tilt.cos(), 1.0 + angle.sin() * tilt.cos(), 2.0 - tilt.sin()]
    }),
    ("hollow, near a frontier", |chance, _, _| {
        let cost = chance.share() + 1e-9;
        [cost, cost.sqrt() - chance.share() * 1e-3 + 1e-2, chance.share()]
    }),
    ("chain, each better than the last", |_, i, n| [n - i, 1.0 + i, n - i]),
    ("chain, each worse than the last", |_, i, n| [1.0 + i, n - i, 1.0 + i]),
    ("huge", |chance, _, _| [chance.share() * 1e140, chance.share() * 1e12, chance.share() * 1e100]),
    ("tiny", |chance, _, _| [(chance.share() + 1e-9) * 1e-70, (chance.share() + 1e-9) * 1e-60, (chance.share() + 1e-9) * 1e-50]),
    ("all magnitudes", |chance, _, _| [0.0; 3].map(|_| (chance.share() * 120.0 - 60.0).exp2())),
    ("apart by the last bits", |chance, _, _| [0.0; 3].map(|_| 1.0 + (chance.share() * 64.0).floor() * f64::EPSILON)),
    ("both signs", |chance, _, _| [0.0; 3].map(|_| chance.share() - 0.5)),
    ("one outlier", |chance, i, _| if i == 0.0 { [1e9, 1e6, 1e9] } else { [0.0; 3].map(|_| chance.share() + 0.1) }),
    ("some not finite", |chance, _, _| {
        [0.0; 3].map(|_| match chance.below(12) {
            0 => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][chance.below(3)],
            _ => (chance.share() * 1e3).ceil(),
        })
    }),
];

struct Drawn {
    name: String,
    points: Vec<Point>,
    solid: Vec<[f64; 3]>,
    others: Vec<Point>,
    /// Which of so many sets each point is in.
    n_groups: usize,
    groups: Vec<usize>,
}

fn draw(number: u64) -> Drawn {
    let mut chance = Chance(number);
    let (kind, place) = KINDS[(number % KINDS.len() as u64) as usize];
    let is_first = number < KINDS.len() as u64;
    let n_points = if is_first { N_LARGE } else { (chance.share() * 3_000_f64.ln()).exp() as usize };
    let mut triples: Vec<[f64; 3]> = (0..n_points).map(|i| place(&mut chance, i as f64, n_points as f64)).collect();
    if chance.below(3) == 0 {
        // Some are there more than once.
        for _ in 0..n_points.div_ceil(4) {
            let (from, to) = (chance.below(n_points), chance.below(n_points));
            triples[to] = triples[from];
        }
    }
    let n_others = 1 + chance.below(300);
    let others = (0..n_others).map(|i| place(&mut chance, i as f64, n_others as f64));
    let point = |[cost, accuracy, _]: [f64; 3]| Point { cost, accuracy };
    let others = others.map(point).collect();
    let n_groups = 1 + chance.below(9);
    Drawn {
        name: format!("{number}: {kind}, {n_points} points"),
        points: triples.iter().copied().map(point).collect(),
        others,
        n_groups,
        groups: triples.iter().map(|_| chance.below(n_groups)).collect(),
        solid: triples,
    }
}

/// A reference that is beaten by most points, in places by all and in places by few.
fn worst(values: impl Iterator<Item = f64>, stretch: f64) -> f64 {
    let (least, most) = values.filter(|value| value.is_finite()).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (v.min(a), v.max(b)));
    if least > most { 1.0 } else { least + (most - least).max(most.abs() * 1e-3) * stretch }
}

/// Writes one set: a line of JSON that names the arrays, and the arrays.
fn write(file: &mut impl Write, name: &str, arrays: &[(String, Vec<f64>)]) {
    let sizes: Vec<_> = arrays.iter().map(|(name, values)| json!([name, values.len()])).collect();
    writeln!(file, "{}", json!({ "name": name, "arrays": sizes })).expect("the temporary folder can be written");
    for value in arrays.iter().flat_map(|(_, values)| values) {
        file.write_all(&value.to_le_bytes()).expect("the temporary folder can be written");
    }
}

fn flat(points: &[Point]) -> Vec<f64> {
    points.iter().flat_map(|point| [point.cost, point.accuracy]).collect()
}

fn answer(file: &mut impl Write, number: u64) {
    let drawn = draw(number);
    let points = &drawn.points;
    let stretch = [0.5, 1.0, 1.1, 100.0][(number / 7 % 4) as usize];
    let reference = Point {
        cost: worst(points.iter().map(|point| point.cost), stretch),
        accuracy: -worst(points.iter().map(|point| -point.accuracy), stretch),
    };
    let solid_reference = [0, 1, 2].map(|axis| worst(drawn.solid.iter().map(|triple| triple[axis]), stretch));

    let mut sets = vec![Vec::new(); drawn.n_groups];
    for (point, group) in points.iter().zip(&drawn.groups) {
        sets[*group].push(*point);
    }
    let number_or_none = |value: Option<f64>| vec![value.unwrap_or(f64::NAN)];
    let mut arrays: Vec<(String, Vec<f64>)> = vec![
        ("points".to_owned(), flat(points)),
        ("front".to_owned(), non_dominated(points).into_iter().map(|index| index as f64).collect()),
        ("reference".to_owned(), vec![reference.cost, reference.accuracy]),
        ("area".to_owned(), vec![hypervolume(points, reference)]),
        ("others".to_owned(), flat(&drawn.others)),
        ("igd_plus".to_owned(), number_or_none(igd_plus(points, &drawn.others))),
        ("epsilon_additive".to_owned(), number_or_none(epsilon_additive(points, &drawn.others))),
        ("epsilon_multiplicative".to_owned(), number_or_none(epsilon_multiplicative(points, &drawn.others))),
        ("solid".to_owned(), drawn.solid.as_flattened().to_vec()),
        ("solid_reference".to_owned(), solid_reference.to_vec()),
        ("volume".to_owned(), vec![hypervolume_3d(&drawn.solid, solid_reference)]),
        ("groups".to_owned(), drawn.groups.iter().map(|group| *group as f64).collect()),
        ("best".to_owned(), flat(&attainment::best(&sets))),
        ("median".to_owned(), flat(&attainment::median(&sets))),
        ("worst".to_owned(), flat(&attainment::worst(&sets))),
    ];
    for level in 1..=drawn.n_groups {
        arrays.push((format!("level {level}"), flat(&attainment::surface(&sets, level))));
    }
    write(file, &drawn.name, &arrays);
}

#[expect(clippy::disallowed_methods, reason = "xtask hands the tests their tools through the environment")]
fn python() -> String {
    std::env::var("OFFRAMP_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

#[test]
#[ignore = "needs the Python packages of tests/requirements.txt; `cargo xtask test` runs it"]
fn thousand_sets_are_what_moocore_and_pymoo_say() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let answers = folder.path().join("answers");
    let mut file = BufWriter::new(File::create(&answers).expect("the temporary folder can be written"));
    for number in 0..N_SETS {
        answer(&mut file, number);
    }
    file.flush().expect("the temporary folder can be written");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies one folder below the root").join("tests/python");
    let compared = Command::new(python()).arg(script.join("frontier_oracle.py")).arg(&answers).output().expect("Python can be started");
    let text = format!("{}{}", String::from_utf8_lossy(&compared.stdout), String::from_utf8_lossy(&compared.stderr));
    assert!(compared.status.success(), "{text}");
    assert!(text.contains(&format!("{N_SETS} sets agree")), "{text}");
}
