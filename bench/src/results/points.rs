//! Frontiers and areas of many points, against moocore, which is written in C.

use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::ensure;
use offramp_domain::frontier::{Point, hypervolume, non_dominated, reference_cost};

use super::curves::{self, Curves, N_POINTS};
use super::python::Python;
use super::{NO_ENGINE, Scale};
use crate::clock;
use crate::table::{Figure, Requirement, complain};

/// What a guess of ten classes reaches.
const CHANCE: f64 = 0.1;

/// A set of points, and under what names it is told of.
struct Set {
    names: [&'static str; 2],
    points: Vec<Point>,
}

/// A cloud without any structure, of which next to nothing is on the frontier; points that are all on it, in no order; and curves of results.
fn sets(n_points: u64) -> anyhow::Result<[Set; 3]> {
    let mut random = fastrand::Rng::with_seed(5);
    let cloud = (0..n_points).map(|_| Point { cost: random.f64(), accuracy: random.f64() }).collect();
    let mut front: Vec<Point> =
        (1..=n_points).map(|step| step as f64 / n_points as f64).map(|step| Point { cost: step * step, accuracy: step }).collect();
    random.shuffle(&mut front);
    let sweep =
        offramp_domain::sweep::parse(&curves::sweep_text(1)).map_err(|error| anyhow::anyhow!("the sweep cannot be read: {error:?}"))?;
    let config = sweep.runs().next().map(|run| run.json.canonical_json(1)).unwrap_or_default();
    let mut drawn = Curves::of(&config, 5)?;
    let curves = (0..n_points / N_POINTS as u64)
        .flat_map(|_| drawn.points().collect::<Vec<_>>())
        .map(|[cost, accuracy]| Point { cost, accuracy })
        .collect();
    Ok([
        Set { names: ["filter-cloud", "hypervolume-cloud"], points: cloud },
        Set { names: ["filter-front", "hypervolume-front"], points: front },
        Set { names: ["filter-curves", "hypervolume-curves"], points: curves },
    ])
}

pub(super) async fn measure(scale: &Scale, python: &mut Python, wanted: impl Fn(&str) -> bool) -> anyhow::Result<Vec<Figure>> {
    complain(&format!("moocore {}", python.version()));
    let folder = tempfile::tempdir()?;
    let mut figures = Vec::new();
    for Set { names: [filter, area], points } in sets(scale.n_set)? {
        let file = folder.path().join(filter);
        let dearest = points.iter().fold(0.0, |most: f64, point| point.cost.max(most));
        let reference = Point { cost: reference_cost(dearest), accuracy: CHANCE };
        write(&file, reference, &points)?;
        let figure = |name| Figure {
            name,
            engine: NO_ENGINE,
            unit: "ms",
            measured: Vec::new(),
            raw: Vec::new(),
            n: points.len() as u64,
            requirement: Requirement::RatioAtMost(1.0),
        };
        let (mut filtered, mut covered) = (figure(filter), figure(area));
        // The first one of each is for the caches, and for the file.
        for repetition in 0..=scale.n_repetitions {
            let raw = python.ask("filter", &file).await?;
            let start = clock::now();
            let standing = black_box(non_dominated(black_box(&points)));
            let took_ms = start.elapsed().as_secs_f64() * 1e3;
            ensure!(standing.len() as f64 == raw.value, "{filter}: {} points on the frontier, {} by moocore", standing.len(), raw.value);
            if repetition > 0 {
                filtered.measured.push(took_ms);
                filtered.raw.push(raw.seconds * 1e3);
            }
            let raw = python.ask("hypervolume", &file).await?;
            let start = clock::now();
            let volume = black_box(hypervolume(black_box(&points), black_box(reference)));
            let took_ms = start.elapsed().as_secs_f64() * 1e3;
            ensure!((volume - raw.value).abs() <= 1e-12 * raw.value, "{area}: {volume}, {} by moocore", raw.value);
            if repetition > 0 {
                covered.measured.push(took_ms);
                covered.raw.push(raw.seconds * 1e3);
            }
        }
        figures.extend([filtered, covered].into_iter().filter(|figure| wanted(figure.name)));
    }
    Ok(figures)
}

/// Little-endian doubles: cost and accuracy of the reference, then of each point.
fn write(path: &Path, reference: Point, points: &[Point]) -> std::io::Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    for point in [reference].iter().chain(points) {
        file.write_all(&point.cost.to_le_bytes())?;
        file.write_all(&point.accuracy.to_le_bytes())?;
    }
    file.flush()
}
